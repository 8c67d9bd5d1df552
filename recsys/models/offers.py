"""The offers model: which candidate items a customer buys next, and with what probability."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recsys.models.bundle import Bundle, BundleContent, Part
from recsys.models.calibration import Calibration
from recsys.models.reading import expect_name, named, part_of, text_fact
from recsys.models.rows import Floats, Rows
from recsys.models.scorers import Scorer
from recsys.models.spec import FeatureSpec


@dataclass(frozen=True, slots=True)
class OffersModel:
    """Ranks candidates of a customer; rows are customer × item features.

    item_level  what an item is: `product` or a catalogue level
    new, repeat curves from raw score to P(bought within the horizon) for items never and already bought
    version     the registry's version and the digest, as the loader names them
    """

    feature_spec: FeatureSpec
    ranker: Scorer
    new: Calibration
    repeat: Calibration
    item_level: str
    facts: Mapping[str, Any]
    version: str

    @classmethod
    def from_bundle(cls, bundle: Bundle, version: str) -> Self:
        """Raises: BundleError if the bundle is no offers bundle or lacks something."""
        expect_name(bundle, "offers")
        content = bundle.content
        return cls(
            feature_spec=content.spec,
            ranker=part_of(bundle, "ranker").scorer,
            new=named(content.calibrations, "new", "calibration"),
            repeat=named(content.calibrations, "repeat", "calibration"),
            item_level=text_fact(content.facts, "item_level"),
            facts=content.facts,
            version=version,
        )

    @property
    def horizon_days(self) -> int:
        """The probabilities are about this many days after `as_of` [days]."""
        return self.feature_spec.horizon_days

    def raw(self, X: Rows) -> Floats:
        """Ranking scores (n,) of rows (n, f): higher is better; no link, no calibration, so few ties."""
        return self.ranker.raw(X)

    def probability(self, raw: Floats, is_new: npt.NDArray[np.bool_]) -> Floats:
        """P(bought within the horizon) (n,) of raw scores (n,); `is_new` (n,): the customer never bought the item."""
        return np.where(is_new, self.new.apply(raw), self.repeat.apply(raw))

    def contributions(self, X: Rows) -> Floats:
        """What each feature added to the raw score, (n, f + 1), the last column the bias."""
        return self.ranker.contributions(X)


def offers_content(
    spec: FeatureSpec,
    ranker: Scorer,
    *,
    new: Calibration,
    repeat: Calibration,
    item_level: str,
    facts: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> BundleContent:
    """What an offers bundle consists of; `facts` are kept beside `item_level`."""
    return BundleContent(
        name="offers",
        spec=spec,
        parts={"ranker": Part(ranker)},
        calibrations={"new": new, "repeat": repeat},
        facts={**(facts or {}), "item_level": item_level},
        metrics=metrics or {},
    )
