"""How soon churn is noticed, where the day of leaving is known: `python -m tests.benchmarks.bench_warning`.

The simulated café tells when each guest stopped for good; in real data nobody knows, the last purchase is not it. The
model is fitted on the first two thirds; from then on everybody is scored every three days. The threshold lets one in
twenty of those who are still guests be warned of on the day of the fit, for every score alike, so that delays compare.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.columns import CUSTOMER
from recsys.evaluation.probability import auc, lift
from recsys.samples.cafe import Cafe, midnight, simulate
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from training.churn import fit_churn
from training.fits import MODEL
from training.models import MODELLING, default_horizon
from training.served import churn_scores
from training.tables import Pasts
from training.windows import first_order, plan_fit

Floats = npt.NDArray[np.float64]

COMMAND = "python -m tests.benchmarks.bench_warning"
FITTED_ON, STEP, FALSE_ALARMS, WATCHED = 240, 3, 0.05, 60
"""Day of the fit, days between two scores, share of living guests warned of, days a leaver is watched."""

CONTENDERS = (MODEL, "recency rule", "overdue rule", "Pareto/NBD expected purchases")


def main() -> None:
    """Measure, write docs/figures/warning.json."""
    cafe = simulate(seed=11, n_customers=3_000, days=365)
    write_figures("warning", list(run(cafe)))


def run(cafe: Cafe) -> Iterator[dict[str, Any]]:
    """Figures of each contender."""
    snapshot = cafe.snapshot()
    pasts = Pasts(snapshot, threads=2)
    cut = midnight(cafe.start, FITTED_ON) - 1
    horizon = default_horizon("churn", pasts, cut)
    plan = plan_fit(first_order(snapshot.history), cut, MODELLING["churn"].rules(horizon))
    fit = fit_churn(pasts, plan, seed=1, threads=2)
    days = np.arange(FITTED_ON, cafe.days + 1, STEP)
    known = pasts.at(cut)
    stop = stops(cafe, [known.snapshot.customers[k] for k in range(len(known.customers))])
    for name in CONTENDERS:
        contender = fit.contender(name)
        assert contender is not None
        scores = np.array([_scores(pasts, cafe, int(day), known.customers, contender.content) for day in days])
        yield from _figures(name, scores, days, stop)


def stops(cafe: Cafe, customers: list[str]) -> npt.NDArray[np.int64]:
    """First day without any visit of each customer, far away for those who stay."""
    of = dict(zip(cafe.truth[CUSTOMER].to_list(), cafe.life.stop.tolist(), strict=True))
    return np.array([of[customer] for customer in customers], np.int64)


def _scores(pasts: Pasts, cafe: Cafe, day: int, customers: Any, content: Any) -> Floats:
    """P(left) at the beginning of `day` of the customers with these indices of the whole snapshot."""
    past = pasts.at(midnight(cafe.start, day) - 1)
    scores = np.full(pasts.snapshot.history.n_customers, np.nan)
    scores[past.customers] = churn_scores(content, past, content.spec.horizon_days)
    return scores[customers]


def _figures(name: str, scores: Floats, days: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]) -> Iterator[Any]:
    """Delay from the true end to the warning, and rank on a day when some have left."""
    living = stop > FITTED_ON
    threshold = float(np.quantile(scores[0][living], 1 - FALSE_ALARMS))
    leavers = living & (stop <= days[-1] - WATCHED)
    delay = np.array([_delay(scores[:, k] >= threshold, days, int(stop[k])) for k in np.flatnonzero(leavers)])
    yield figure(f"{name}: leavers watched", len(delay), "guests", COMMAND)
    yield figure(f"{name}: median days from the true end to the warning", float(np.median(delay)), "days", COMMAND)
    for within in (7, 14, 28, 56):
        yield figure(f"{name}: warned of within {within} days", float((delay <= within).mean()), "", COMMAND)
    staying = living & (stop > days[-1])
    alarms = float((scores[:, staying] >= threshold).mean())
    yield figure(f"{name}: days on which those who stay are warned of", alarms, "", COMMAND)
    late = int(np.searchsorted(days, FITTED_ON + WATCHED))
    gone = ((stop <= days[late]) & living)[living].astype(np.float64)
    yield figure(
        f"{name}: lift of the top decile for those gone, day {days[late]}",
        lift(gone, scores[late][living]),
        "",
        COMMAND,
    )
    yield figure(f"{name}: AUC for those gone, day {days[late]}", auc(gone, scores[late][living]), "", COMMAND)


def _delay(warned: npt.NDArray[np.bool_], days: npt.NDArray[np.int64], stop: int) -> float:
    """Days from the end to the first day that the score stands at or above the threshold; infinite if never.

    A warning that stands already on the last day with the guest counts as none late.
    """
    after = np.flatnonzero(warned & (days >= stop))
    return float(days[after[0]] - stop) if len(after) else float("inf")


if __name__ == "__main__":
    main()
