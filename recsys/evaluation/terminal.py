"""A back-test's result in the terminal."""

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from recsys.data.clock import to_iso
from recsys.evaluation import presentation as show
from recsys.evaluation.results import BacktestResult, MetricTable, ModelResult

WIDE = 120
"""Columns from which intervals and paired differences have room; JSON and the HTML report hold them always."""


def print_result(result: BacktestResult, console: Console | None = None) -> None:
    """Print tables and verdicts of all models; on a wide terminal with intervals and paired differences, too."""
    console = console or Console()
    console.print(f"Back-test at [bold]{to_iso(result.cut, result.timezone)}[/] · snapshot {result.snapshot_id}")
    for note in result.notes:
        console.print(f"[yellow]{note}[/]")
    for model in result.models:
        console.print(model_panel(model, wide=console.width >= WIDE))


def model_panel(model: ModelResult, *, wide: bool = True) -> Panel:
    """Everything about one model in a frame."""
    title = show.MODELS[model.model]
    if model.skipped:
        return Panel(Text(model.skipped), title=f"{title}: not tested", title_align="left")
    parts: list[RenderableType] = [metric_table(table, wide=wide) for table in model.tables]
    parts += [difference_table(table) for table in model.tables if table.differences and wide]
    parts += [group_table(model, wide=wide)] if model.groups else []
    if model.verdict is not None:
        style = "green" if model.verdict.promoted else "yellow"
        parts.append(Text(model.verdict.why, style=style))
    return Panel(Group(*parts), title=f"{title}, {model.horizon_days} days", title_align="left")


def metric_table(table: MetricTable, *, wide: bool = True) -> Table:
    """Metrics down, contenders across; the best of each row in bold."""
    title = f"{show.PARTS.get(table.part, table.part)} ({table.customers:,} customers)"
    grid = Table(title=title, title_justify="left", title_style="bold")
    grid.add_column("metric")
    for contender in table.contenders:
        grid.add_column(contender.name, justify="right", style="" if contender.role == "model" else "dim")
    for metric in show.metric_names(table):
        winners = show.best(table, metric)
        names = [contender.name for contender in table.contenders]
        grid.add_row(metric, *(_cell(table, name, metric, wins=name in winners, wide=wide) for name in names))
    return grid


def difference_table(table: MetricTable) -> Table:
    """Paired differences with intervals and what they mean."""
    grid = Table(title=f"Paired differences: {show.PARTS.get(table.part, table.part)}", title_justify="left")
    for heading in ("metric", "contenders", "difference", "95% interval", "reads"):
        grid.add_column(heading, justify="right" if heading in {"difference", "95% interval"} else "left")
    for each in table.differences:
        words = f"{each.first} − {each.second}"
        grid.add_row(
            each.metric, words, show.number(each.value), show.interval(each.low, each.high), show.reading(each)
        )
    return grid


def group_table(model: ModelResult, *, wide: bool = True) -> Table:
    """Groups of customers: what happened beside what was told; those that are off beyond chance in yellow."""
    grid = Table(title="Groups of customers", title_justify="left", title_style="bold")
    more = ("predicted", "error", "p (corrected)") if wide else ()
    for heading in ("group", "customers", "actual", "expected", *more, ""):
        grid.add_column(heading, justify="left" if heading in {"group", ""} else "right")
    for each in model.groups:
        figures = (each.actual, each.expected, *((each.predicted, each.error, each.p_value) if wide else ()))
        shown = (show.number(figure) for figure in figures)
        style = "yellow" if each.off else ""
        grid.add_row(each.group, f"{each.customers:,}", *shown, "off" if each.off else "", style=style)
    return grid


def _cell(table: MetricTable, contender: str, metric: str, *, wins: bool, wide: bool) -> Text:
    found = table.contender(contender)
    row = next((each for each in found.rows if each.name == metric), None) if found else None
    if row is None:
        return Text(show.MISSING)
    text = Text(show.number(row.value), style="bold" if wins else "")
    bounds = show.interval(row.low, row.high)
    return text.append(f"\n{bounds}", style="dim not bold") if bounds and wide else text
