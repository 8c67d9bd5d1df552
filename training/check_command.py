"""`barista check`: what the imported data can carry, before training."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.data.check import DataCheck
    from recsys.data.snapshot import Snapshot

COLOURS = {"yes": "green", "weak": "yellow", "no": "red"}


def declare(app: typer.Typer) -> None:
    """Add `check`."""
    app.command("check")(check)


def check(
    context: typer.Context,
    horizon: Annotated[int | None, typer.Option(help="Horizon in days; default: inferred from the data.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all figures to this file.")] = None,
) -> None:
    """Say what the imported data can carry: for offers, churn and value yes, weak or no, and why."""
    from rich.console import Console

    from recsys.data.check import carries
    from recsys.workspace import Workspace

    snapshot = Workspace.open(context.obj).current_snapshot()
    found = carries(snapshot, horizon or _inferred(snapshot))
    console = Console()
    console.print(figures(found))
    console.print(verdicts(found))
    if json is not None:
        json.write_text(json_format.dumps(found.as_dict(), indent=1), encoding="utf-8")


def _inferred(snapshot: "Snapshot") -> int:
    """The horizon that training would take [days]."""
    from recsys.population.rhythm import infer_horizon

    history = snapshot.history
    return infer_horizon(history.arrays(), history.order_start, snapshot.as_of, snapshot.zone())


def figures(found: "DataCheck") -> "Table":
    """The figures as a table of two columns."""
    from rich.table import Table

    table = Table("figure", "value", title="What the data hold")
    low, middle, high = found.gap_days
    rows = {
        "history": f"{found.span_days:,.0f} days",
        "customers who bought": f"{found.customers:,}",
        "  with 2 orders and more": f"{found.buyers_2:,}",
        "  with 3 orders and more": f"{found.buyers_3:,}",
        "  with one order (passers-by)": f"{found.passers_by_share:.1%}",
        "orders": f"{found.orders:,} ({found.orders_per_customer:.1f} a customer)",
        "days between orders": f"{middle:g} (10%: {low:g}, 90%: {high:g})",
        "lines": f"{found.lines:,}",
        "share of a basket bought before": f"{found.repeat_share:.1%}",
        "items sold / products": f"{found.items:,} / {found.products:,}",
        "horizon": f"{found.horizon_days} days",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def verdicts(found: "DataCheck") -> "Table":
    """The verdict on each model with its reasons."""
    from rich.table import Table

    table = Table("model", "carried", "because", title="What they can carry")
    for each in found.findings:
        table.add_row(each.model, f"[{COLOURS[each.verdict]}]{each.verdict}[/]", "\n".join(each.reasons))
    return table
