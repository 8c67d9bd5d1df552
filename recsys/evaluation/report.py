"""The back-test as one HTML page that needs nothing else: no script, no outside asset."""

from pathlib import Path
from typing import Any

from recsys.data.clock import to_iso
from recsys.evaluation import presentation
from recsys.evaluation.plots import svg
from recsys.evaluation.results import BacktestResult

TEMPLATE = "report.html"


def write_report(path: Path, result: BacktestResult) -> None:
    """Write the page of `result` to `path`; its folder is made where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(result), encoding="utf-8")


def render_report(result: BacktestResult) -> str:
    """The page of `result` as text; equal results give equal pages."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words: dict[str, Any] = {
        "show": presentation,
        "svg": lambda plot: Markup(svg(plot)),  # noqa: S704  (drawn here from numbers, labels escaped by matplotlib)
        "cut": to_iso(result.cut, result.timezone),
    }
    return environment.get_template(TEMPLATE).render(result=result, **words)
