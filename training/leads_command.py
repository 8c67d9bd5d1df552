"""`barista leads`: which prospects will buy for the first time."""

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from recsys.errors import ClockError


def declare(app: typer.Typer) -> None:
    """Add `leads`."""
    app.command("leads")(leads)


def leads(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV or Parquet: lead_id, created_at, purchased_at, attributes.")],
    touches: Annotated[Path, typer.Argument(help="CSV or Parquet: lead_id, occurred_at, kind (view, cart, mail …).")],
    out: Annotated[Path, typer.Option(help="Write the scores here, .parquet or .csv.")],
    as_of: Annotated[
        str | None, typer.Option(help="Last day that counts. [default: the newest day of the files]")
    ] = None,
    horizon: Annotated[int, typer.Option(min=1, help="Days that a first purchase may come in.")] = 28,
) -> None:
    """Fit who buys for the first time, test it on the newest horizon, write P(first purchase) of every open lead."""
    import polars as pl

    from recsys.errors import NotEnoughData
    from recsys.evaluation import probability
    from training.leads import fit_leads, judged, read_leads
    from training.steps import calm_threads

    calm_threads()
    seed, threads = context.obj.seed, context.obj.threads
    known = read_leads(file, touches)
    columns = (known.table["created_at"], known.table["purchased_at"], known.touches["occurred_at"])
    today = _day(as_of, [day for column in columns if isinstance(day := column.max(), date)])
    cut = today - timedelta(days=horizon)
    try:
        chance, label = judged(known, fit_leads(known, cut, horizon, seed=seed, threads=threads), cut)
        rank, slope = probability.auc(label, chance), probability.calibration_line(label, chance).slope
        typer.echo(
            f"Told on {cut}: AUC {rank:.3f}, calibration slope {slope:.2f}, bought {label.mean():.1%}, "
            f"told {chance.mean():.1%} of {len(label):,} leads"
        )
    except NotEnoughData as error:
        typer.echo(f"Not tested: {error.message()}")
    ids, chance = fit_leads(known, today, horizon, seed=seed, threads=threads).chance(known, today)
    days = pl.lit(horizon, pl.Int32).alias("horizon_days")
    scored = pl.DataFrame({"lead_id": ids, "purchase_probability": chance}).with_columns(days)
    scored.write_csv(out) if out.suffix == ".csv" else scored.write_parquet(out)
    typer.echo(f"{len(scored):,} open leads scored: {out}")


def _day(text: str | None, known: list[date]) -> date:
    """The day asked for, else the newest known."""
    try:
        return date.fromisoformat(text) if text else max(known)
    except ValueError as error:
        raise ClockError("The day is no date", found=text or "no date in the files", expected="2024-12-31") from error
