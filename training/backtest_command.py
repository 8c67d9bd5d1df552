"""`barista backtest`: what the models would have been worth at a date in the past."""

from pathlib import Path
from typing import Annotated

import typer


def declare(app: typer.Typer) -> None:
    """Add `backtest`."""
    app.command("backtest")(backtest)


def backtest(
    context: typer.Context,
    cut: Annotated[str, typer.Option(help="Everything before this day is known, e.g. 2017-11-01; or an ISO instant.")],
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Days after the cut to judge on. [default: each model's usual horizon]")
    ] = None,
    models: Annotated[str, typer.Option(help="Which models, with commas between.")] = "offers,churn,value",
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report with plots to this file.")] = None,
) -> None:
    """Fit on what was known at a date, score everybody, and compare with what came after, beside baselines."""
    from rich.console import Console

    from recsys.evaluation.report import write_report
    from recsys.evaluation.terminal import print_result
    from recsys.workspace import Workspace
    from training.steps import calm_threads, chosen_models, steps

    calm_threads()
    from training.backtesting import backtest as run
    from training.backtesting import parse_cut

    settings = context.obj
    snapshot = Workspace.open(settings).current_snapshot()
    names = chosen_models(models)
    with steps() as progress:
        instant = parse_cut(cut, snapshot.facts.timezone)
        result = run(
            snapshot, instant, horizon, models=names, seed=settings.seed, threads=settings.threads, progress=progress
        )
    print_result(result, Console())
    if json is not None:
        result.write_json(json)
    if report is not None:
        write_report(report, result)
