"""`barista score`: churn, value, next purchase and top offers of every customer as files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.errors import SettingsError

if TYPE_CHECKING:
    from recsys.decisioning.answers import Level, Mode
    from recsys.decisioning.words import Language
    from serving.batch.files import Format


def declare(app: typer.Typer) -> None:
    """Add `score`."""
    app.command("score")(score)


def score(
    context: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory to publish; an earlier run there is replaced. [default: scores/latest of the workspace]"
        ),
    ] = None,
    file_format: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    n: Annotated[int, typer.Option("--n", min=1, max=100, help="Offers for each customer.")] = 10,
    mode: Annotated[str, typer.Option(help="new, repeat or mixed.")] = "mixed",
    level: Annotated[str, typer.Option(help="New means nothing bought of this: item, family or group.")] = "item",
    look_back: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days after which what was bought is new again; else never.")
    ] = None,
    reasons: Annotated[bool, typer.Option(help="With the reasons of offers and churn.")] = True,
    language: Annotated[str, typer.Option(help="Of the reasons: en, ru or uk.")] = "en",
    chunk: Annotated[int, typer.Option(min=1, help="Customers held in memory at once.")] = 2_000,
) -> None:
    """Score the whole base at the workspace's clock and publish it as three tables with a manifest."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from recsys.decisioning.answers import Novelty
    from recsys.workspace import Workspace
    from serving.batch.base import Wanted, score_base

    told, kind = _language(language), _format(file_format)
    novelty = Novelty(_level(level), look_back)
    wanted = Wanted(n, _mode(mode), reasons, told, kind, chunk, novelty)
    workspace = Workspace.open(context.obj)
    place = out or workspace.directory / "scores" / "latest"
    columns = (TextColumn("Scoring"), BarColumn(), MofNCompleteColumn(), TextColumn("customers"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        published = score_base(workspace, place, wanted, lambda done, of: bar.update(task, completed=done, total=of))
    counts = published.manifest["counts"]
    run = published.manifest["run_id"]
    typer.echo(f"{counts['customers']:,} customers, {counts['offers']:,} offers: {place} (run {run})")
    if counts["without_purchases"]:
        typer.echo(
            f"{counts['without_purchases']:,} of the customers table have not bought: no row, the API answers them"
        )
    for each in published.withdrawn:
        typer.echo(f"{each.place}: {each.fault or f'{each.customers:,} erased customers taken out'}")


def _mode(text: str) -> "Mode":
    if text not in ("new", "repeat", "mixed"):
        raise SettingsError("Unknown --mode", found=text, expected="new, repeat or mixed")
    return text  # type: ignore[return-value]


def _level(text: str) -> "Level":
    from recsys.decisioning.answers import LEVELS

    if text not in LEVELS:
        raise SettingsError("Unknown --level", found=text, expected=", ".join(LEVELS))
    return text


def _language(text: str) -> "Language":
    from recsys.decisioning.words import LANGUAGES

    if text not in LANGUAGES:
        raise SettingsError("Unknown --language", found=text, expected=", ".join(LANGUAGES))
    return text


def _format(text: str) -> "Format":
    if text not in ("parquet", "csv"):
        raise SettingsError("Unknown --format", found=text, expected="parquet or csv")
    return text  # type: ignore[return-value]
