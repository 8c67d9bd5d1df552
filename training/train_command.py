"""`barista train`: offers, churn and value from the imported purchases."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from training.publishing import Published


def declare(app: typer.Typer) -> None:
    """Add `train`."""
    app.command("train")(train)


def train(
    context: typer.Context,
    models: Annotated[str, typer.Option(help="Which models, with commas between.")] = "offers,churn,value",
    offers_horizon: Annotated[int | None, typer.Option(min=1, help="Days an offer has to be bought in.")] = None,
    churn_horizon: Annotated[int | None, typer.Option(min=1, help="Days without purchase that count as left.")] = None,
    value_horizon: Annotated[int | None, typer.Option(min=1, help="Days of spend that are predicted.")] = None,
) -> None:
    """Train, test beside baselines, register every contender in MLflow and make the best one champion."""
    from rich.console import Console

    from recsys.errors import NotEnoughData
    from training.steps import calm_threads, chosen_models, steps

    calm_threads()
    from training.fitting import Untrained
    from training.publishing import train as run

    given = {"offers": offers_horizon, "churn": churn_horizon, "value": value_horizon}
    horizons = {name: days for name in chosen_models(models) if (days := given[name]) is not None}
    with steps() as progress:
        published = run(context.obj, chosen_models(models), horizons, progress=progress)
    console = Console()
    console.print(_summary(published))
    for each in published.result.outcomes:
        why = f"not trained. {each.why}" if isinstance(each, Untrained) else each.verdict.why
        console.print(f"{each.name}: {why}", highlight=False)
    console.print(f"Report: {published.report}", highlight=False)
    if not published.result.trained:
        raise NotEnoughData("No model could be trained", cure="Run `barista check` for what the data can carry")


SUMMARY = {
    "offers": ("mixed", ("ndcg@10", "recall@10")),
    "churn": ("all", ("auc", "log loss")),
    "value": ("spend", ("deviance", "normalised gini")),
}
"""Part and figures of each model that the summary shows."""


def _summary(published: "Published") -> "Table":
    """One row a contender, the champion marked, with figures of the window that is reported."""
    from rich.table import Table

    from recsys.evaluation.presentation import number

    grid = Table(title="Contenders; figures of the test window where there is one", title_justify="left")
    for heading in ("model", "horizon", "contender", "version", "figures", ""):
        grid.add_column(heading)
    for trained in published.result.trained:
        part, figures = SUMMARY[trained.name]
        table = trained.shown.table(part)
        for name, version in sorted(published.versions[trained.name].items(), key=lambda each: each[1]):
            found = table.contender(name) if table else None
            shown = ", ".join(f"{each} {number(found.value(each))}" for each in figures) if found else "not judged"
            champion = "champion" if version == published.champions[trained.name] else ""
            grid.add_row(trained.name, f"{trained.horizon_days} days", name, str(version), shown, champion)
    return grid
