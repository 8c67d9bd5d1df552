"""`barista import`: a user's own purchases, or a sample, into the workspace."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from recsys.data.importing import Mode, Progress
    from recsys.data.mapping import Mapping
    from recsys.data.report import ImportReport
    from training.importing import Imported

SAMPLES = ("complete-journey",)
MODES = ("replace", "append", "correct")


def declare(app: typer.Typer) -> None:
    """Add `import`."""
    app.command("import")(import_)


def import_(
    context: typer.Context,
    mapping: Annotated[
        Path | None, typer.Argument(help="TOML file that says where the tables and columns are.")
    ] = None,
    sample: Annotated[str | None, typer.Option(help=f"Import a sample instead: {', '.join(SAMPLES)}.")] = None,
    mode: Annotated[
        str,
        typer.Option(
            help="replace: all data, or those of a period; append: add orders; correct: orders in the source replace "
            "the same ones."
        ),
    ] = "replace",
    first: Annotated[str | None, typer.Option("--from", help="First day of the period that is replaced.")] = None,
    until: Annotated[str | None, typer.Option(help="Day after the last of the period that is replaced.")] = None,
    events: Annotated[bool, typer.Option(help="Fold in the orders the service was told of.")] = True,
    json: Annotated[Path | None, typer.Option(help="Write the report to this file, too.")] = None,
) -> None:
    """Import transactions, products and customers; the former data stay in use until all is done, or if it fails."""
    from recsys.workspace import Workspace
    from training.importing import ImportPlan, import_into

    source = _source(mapping, sample)
    plan = ImportPlan(_mode(mode), _period(first, until, mode), events)
    workspace = Workspace.create(context.obj)
    with progress_bars() as progress:
        imported = import_into(workspace, source, plan, progress)
    _print(imported)
    if json is not None:
        json.write_text((imported.directory / "report.json").read_text(encoding="utf-8"), encoding="utf-8")


def _source(mapping: Path | None, sample: str | None) -> "Mapping":
    from recsys.data.mapping_file import read_mapping
    from recsys.errors import RequestRefused

    if (mapping is None) == (sample is None):
        raise RequestRefused("Say what to import", expected="a mapping file, or --sample complete-journey")
    if mapping is not None:
        return read_mapping(mapping)
    if sample not in SAMPLES:
        raise RequestRefused("No such sample", found=sample, expected=", ".join(SAMPLES))
    from recsys.samples import complete_journey

    return complete_journey.mapping()


def _mode(text: str) -> "Mode":
    from recsys.errors import RequestRefused

    if text == "append":
        return "append"
    if text == "correct":
        return "correct"
    if text != "replace":
        raise RequestRefused("No such mode", found=text, expected=", ".join(MODES))
    return "replace"


def _period(first: str | None, until: str | None, mode: str) -> tuple[str, str] | None:
    from recsys.errors import RequestRefused

    if first is None and until is None:
        return None
    if first is None or until is None or mode != "replace":
        raise RequestRefused("A period is replaced by --from and --until together, in mode replace")
    return first, until


@contextmanager
def progress_bars() -> Iterator["Progress"]:
    """One bar a stage on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:>14}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: float) -> None:
            """Move the bar of a stage to the share that is done, 0 to 1."""
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=done)

        yield show


def _print(imported: "Imported") -> None:
    from rich.console import Console

    console = Console()
    console.print(_tables(imported.report))
    for each in imported.report.oddities:
        console.print(
            f"[yellow]{each.count:,}[/] of {each.of:,}: {each.meaning}" + "".join(f"\n  {e}" for e in each.examples)
        )
    for name, count in imported.report.merged.items():
        console.print(f"{count:,} {name.replace('_', ' ')}")
    counts = ", ".join(f"{count:,} {name}" for name, count in imported.report.counts.items())
    console.print(f"Snapshot {imported.snapshot.snapshot_id}: {counts}", highlight=False)
    console.print(f"Report and rejects: {imported.directory}", highlight=False, soft_wrap=True)
    console.print("Next: `barista check`, then `barista train`", highlight=False)


def _tables(report: "ImportReport") -> "Table":
    from rich.table import Table

    table = Table("table", "source", "rows read", "accepted", "rejected", "why")
    for name, each in report.tables.items():
        why = "; ".join(f"{count:,} × {column}: {reason}" for (column, reason), count in each.reasons.most_common(3))
        table.add_row(name, each.source, f"{each.read:,}", f"{each.accepted:,}", f"{each.rejected:,}", why)
    return table
