"""What the reasons of churn say of simulated offices whose cause of leaving is known."""

from collections.abc import Iterator
from typing import NamedTuple

from recsys.decisioning import Serving, score
from recsys.decisioning.answers import Reason
from recsys.decisioning.churn_reasons import CHURN_CODES
from recsys.models.churn import ChurnModel
from recsys.population.facts import PopulationSpec
from recsys.samples.leavers import simulate
from training.churn import fit_churn
from training.served import reread
from training.tables import Pasts
from training.windows import WindowRules, first_order, plan_fit

HORIZON = 28
TRUE = {"slower rhythm": "rhythm", "smaller basket": "basket", "lost category": "choice"}
"""Cause → the meaning that names it."""
MEANING = {code: meaning for meaning, codes in CHURN_CODES.items() for code in codes}


class Leaver(NamedTuple):
    """One office between turn and stop: its cause, what the first reason that raises the risk means ("" if none)."""

    cause: str
    first: str
    reasons: tuple[Reason, ...]

    @property
    def right(self) -> bool:
        """Whether the first reason names the cause."""
        return self.first == TRUE[self.cause]


def leavers(seed: int, n_customers: int) -> Iterator[Leaver]:
    """Simulate, train churn as `barista train` does, ask for the reasons of everyone who is leaving."""
    base = simulate(seed, n_customers)
    snapshot = base.snapshot()
    pasts = Pasts(snapshot, PopulationSpec(factors=8, iterations=3), threads=1)
    plan = plan_fit(first_order(snapshot.history), snapshot.as_of, WindowRules(HORIZON, most=4))
    fit = fit_churn(pasts, plan, seed=1, threads=1)
    past = pasts.at(snapshot.as_of)
    model = ChurnModel.from_bundle(reread(fit.contenders[-1].content), "")
    serving = Serving.of(past.snapshot, past.population, churn=model)
    for customer, cause in base.leaving().items():
        churn = score(serving, customer, (), snapshot.as_of, reasons=True).churn
        assert churn is not None
        raising = [each for each in churn.reasons if each.evidence["direction"] == "raises_churn"]
        yield Leaver(cause, MEANING[raising[0].code] if raising else "", churn.reasons)
