"""`barista subscriptions`: which running contracts will end, from a table of contracts."""

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.errors import ClockError, NotEnoughData

if TYPE_CHECKING:
    import polars as pl

    from recsys.settings import Settings


def declare(app: typer.Typer) -> None:
    """Add `subscriptions`."""
    app.command("subscriptions")(subscriptions)


def subscriptions(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV or Parquet: customer_id, started_at, ended_at, attributes.")],
    out: Annotated[Path, typer.Option(help="Write the scores here, .parquet or .csv.")],
    as_of: Annotated[
        str | None, typer.Option(help="Last day that counts. [default: the newest day of the file]")
    ] = None,
    periods: Annotated[int, typer.Option(min=1, help="Periods ahead that a contract may end in.")] = 3,
    period: Annotated[int, typer.Option(min=1, help="Days of a period: how often a contract can end.")] = 30,
) -> None:
    """Fit when contracts end, test it on the newest periods, and write P(ends) for every running contract."""
    from training.contractual import fit_hazard, read_subscriptions, running
    from training.steps import calm_threads

    calm_threads()
    settings: Settings = context.obj
    table = read_subscriptions(file)
    today = _day(as_of, table)
    _tell(table, today - timedelta(days=periods * period), periods, period, settings.seed)
    model = fit_hazard(table, today, period=period, seed=settings.seed, threads=settings.threads)
    scored = _scored(table, today, periods, model, settings)
    scored.write_csv(out) if out.suffix == ".csv" else scored.write_parquet(out)
    typer.echo(f"{len(scored):,} of {len(running(table)):,} running contracts scored: {out}")


def _day(text: str | None, table: "pl.DataFrame") -> date:
    """The day asked for, else the newest of the table."""
    newest = [day for name in ("started_at", "ended_at") if isinstance(day := table[name].max(), date)]
    try:
        return date.fromisoformat(text) if text else max(newest)
    except ValueError as error:
        raise ClockError("The day is no date", found=text or "no date in the file", expected="2024-12-31") from error


def _tell(table: "pl.DataFrame", cut: date, periods: int, period: int, seed: int) -> None:
    """Print how well it would have been told one horizon ago."""
    from recsys.evaluation import probability
    from training.contractual import judge_hazard

    try:
        judged = judge_hazard(table, cut, periods, period=period, seed=seed)
    except NotEnoughData as error:
        typer.echo(f"Not tested: {error.message()}")
        return
    for name, chance in (("hazard", judged.chance), ("tenure alone", judged.by_tenure)):
        line = probability.calibration_line(judged.label, chance)
        typer.echo(
            f"Told on {cut} by {name}: AUC {probability.auc(judged.label, chance):.3f}, "
            f"log loss {probability.log_losses(judged.label, chance).mean():.4f}, calibration slope {line.slope:.2f}, "
            f"ended {judged.label.mean():.1%}, told {chance.mean():.1%} of {len(chance):,} contracts"
        )


def _scored(table: "pl.DataFrame", today: date, periods: int, model: object, settings: "Settings") -> "pl.DataFrame":
    """One row a running contract."""
    import polars as pl

    from recsys.decisioning.stakes import Stakes
    from training.contractual import Hazard, known_at, running

    assert isinstance(model, Hazard)
    now, stakes = running(known_at(table, today)), Stakes.of(settings)
    chance = pl.Series("churn_probability", model.leaving(now, today, periods))
    at_risk = pl.lit(None, pl.Boolean) if stakes is None else pl.col(chance.name) >= stakes.threshold
    return (
        now.select("customer_id", "started_at")
        .with_columns(
            pl.lit("contractual").alias("churn_kind"),
            chance,
            pl.lit(periods * model.period, pl.Int32).alias("churn_horizon_days"),
        )
        .with_columns(at_risk.alias("churn_at_risk"))
    )
