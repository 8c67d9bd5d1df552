"""What a fit gives: contenders, each a bundle that could be served, and the settings that were found on the way."""

from dataclasses import dataclass, field
from typing import Any

from recsys.data.clock import to_iso
from recsys.evaluation.results import ModelName, Role
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.models.bundle import BundleContent
from recsys.models.spec import FeatureSpec
from training.windows import FitPlan

MODEL = "LightGBM"
"""Name of the contender that is the model; all others are baselines."""

GROWING = frozenset({"orders", "purchase_days", "spend", "longest_gap", "distinct_items", "favourites"})
"""Totals that only grow with the history seen: windows start early in it, serving sees all of it, so trees that split
on them would meet values they never learned from. The rules may use them. `days_since_first` stays, it tells newcomers:
without it the trees lost on bases that acquire customers."""

TOO_SMALL = "The windows before the newest hold too few customers for trees: baselines only"


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model or a baseline; `content` is what its bundle would hold, served the same way for both."""

    name: str
    role: Role
    content: BundleContent


@dataclass(frozen=True, slots=True, eq=False)
class ModelFit:
    """All contenders of one model fitted at one cut.

    trees  number of trees by part, empty where none were grown; given to a later fit it freezes them
    rows   rows the trees learned from
    notes  what the history was too short or too small for
    """

    model: ModelName
    plan: FitPlan
    contenders: tuple[Contender, ...]
    trees: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    notes: tuple[str, ...] = ()

    def contender(self, name: str) -> Contender | None:
        """The contender called `name`, None if it was not fitted."""
        return next((each for each in self.contenders if each.name == name), None)

    def best_known(self) -> Contender:
        """What to serve where nothing could be judged: the first baseline, which each model lists first on purpose."""
        return next(each for each in self.contenders if each.role == "baseline")


def customer_spec(plan: FitPlan) -> FeatureSpec:
    """What the rows of churn and value are made of."""
    return FeatureSpec(CUSTOMER_FEATURES, plan.horizon_days, "customer-2")


def fit_facts(name: str, role: Role, plan: FitPlan, **more: Any) -> dict[str, Any]:
    """What a bundle says about its making; nothing that differs between two fits of the same rows."""
    windows = {"starts": [to_iso(start) for start in plan.starts], "calibrated_from": to_iso(plan.calibrate_at)}
    return {
        "contender": name,
        "role": role,
        "as_of": plan.cut,
        "windows": windows,
        "shared_window": plan.shared,
        **more,
    }
