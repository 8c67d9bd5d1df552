"""Back-test: fit on what was known at a cut, score everyone, compare with what came after."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from recsys.data.clock import DAY, to_iso, to_seconds
from recsys.data.snapshot import Snapshot
from recsys.errors import ClockError, NotEnoughData
from recsys.evaluation.results import BacktestResult, ModelName, ModelResult
from recsys.evaluation.subgroups import warning
from training.models import MODELLING, default_horizon, feasible_horizon
from training.tables import Pasts
from training.windows import first_order, plan_fit

Progress = Callable[[str], None]
"""Told what is being done, in a few words."""

SEED = 20170101


def silent(_what: str) -> None:
    """Progress that nobody watches."""


def backtest(
    snapshot: Snapshot,
    cut: int,
    horizon: int | None = None,
    *,
    models: Sequence[ModelName] = ("offers", "churn", "value"),
    seed: int = SEED,
    threads: int = 1,
    progress: Progress = silent,
) -> BacktestResult:
    """Fit each model on the rows up to `cut` [s] and judge it on the `horizon` [days] after it.

    Without a horizon each model takes its usual one. A model that the history can't carry that far is trained for the
    longest horizon it can (a third of the history) and extrapolated, which its facts say.

    Raises:
        ClockError: the cut lies outside the data, or the data end before the horizon does.
    """
    pasts = Pasts(snapshot, threads=threads)
    known_until = data_end(snapshot)
    _check_cut(snapshot, cut)
    wanted = {name: horizon or default_horizon(name, pasts, cut) for name in models}
    _check_end(snapshot, cut, max(wanted.values()), known_until)
    results = [_one(name, pasts, cut, wanted[name], known_until, seed, threads, progress) for name in models]
    facts = snapshot.facts
    return BacktestResult(
        cut=cut,
        timezone=facts.timezone,
        snapshot_id=snapshot.snapshot_id,
        source=facts.source,
        currency=facts.currency,
        models=tuple(results),
        counts=counts_at(pasts, cut),
        notes=(
            *(f"{each.model}: {each.facts['extrapolated']}" for each in results if "extrapolated" in each.facts),
            *group_warnings(results),
        ),
    )


def _one(
    name: ModelName,
    pasts: Pasts,
    cut: int,
    horizon: int,
    known_until: int,
    seed: int,
    threads: int,
    progress: Progress,
) -> ModelResult:
    """One model fitted at the cut and judged; skipped, with the reason, where the history does not carry it."""
    modelling = MODELLING[name]
    try:
        progress(f"{name}: fitting at {to_iso(cut, pasts.snapshot.facts.timezone)}")
        trained = feasible_horizon(name, pasts, cut, horizon)
        plan = plan_fit(first_order(pasts.snapshot.history), cut, modelling.rules(trained))
        fit = modelling.fit(pasts, plan, seed=seed, threads=threads)
        progress(f"{name}: judging {len(fit.contenders)} contenders on {horizon} days")
        return modelling.judge(pasts, fit, horizon, known_until, seed=seed)
    except NotEnoughData as error:
        return ModelResult(name, horizon, skipped=error.message())


def group_warnings(results: Sequence[ModelResult]) -> tuple[str, ...]:
    """Groups of customers that a model is off for, in words."""
    return tuple(warning(result.model, each) for result in results for each in result.groups if each.off)


def counts_at(pasts: Pasts, cut: int) -> dict[str, int]:
    """How much was known at `cut` [s]."""
    past = pasts.at(cut).snapshot
    history = past.history
    return {
        "customers": history.n_customers,
        "orders": history.n_orders,
        "lines": history.n_lines,
        "products": past.catalogue.n_products,
        "items": past.catalogue.n_items,
    }


def parse_cut(text: str, timezone: str) -> int:
    """Instant [s] of `--cut`: a date means everything before that day is known; an instant with a zone is itself.

    Raises:
        ClockError: the text is neither.
    """
    zone = ZoneInfo(timezone)
    try:
        if len(text) == len("2017-11-01"):
            return to_seconds(datetime.combine(date.fromisoformat(text), time(), zone)) - 1
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ClockError(
            "The cut is no date", found=text, expected="2017-11-01 or 2017-11-01T12:00:00+01:00"
        ) from error
    return to_seconds(instant if instant.tzinfo else instant.replace(tzinfo=zone))


def data_end(snapshot: Snapshot) -> int:
    """End of the business day of the newest order [s]: the data are taken as complete up to there."""
    zone = ZoneInfo(snapshot.facts.timezone)
    last = datetime.fromtimestamp(snapshot.as_of, zone)
    midnight = datetime.combine(last.date() + timedelta(days=1), time(), zone)
    return to_seconds(midnight) - 1


def _check_cut(snapshot: Snapshot, cut: int) -> None:
    first, zone = first_order(snapshot.history), snapshot.facts.timezone
    if not first <= cut < snapshot.as_of:
        raise ClockError(
            "The cut lies outside the data",
            found=to_iso(cut, zone),
            expected=f"between {to_iso(first, zone)} and {to_iso(snapshot.as_of, zone)}",
            cure="Choose a cut with history before it and a horizon after it",
        )


def _check_end(snapshot: Snapshot, cut: int, horizon: int, known_until: int) -> None:
    left = (known_until - cut) // DAY
    if horizon > left:
        raise ClockError(
            "The data end before the horizon does",
            found=f"{horizon} days from {to_iso(cut, snapshot.facts.timezone)}",
            expected=f"at most {left} days",
            cure="Choose an earlier cut or a shorter horizon",
        )
