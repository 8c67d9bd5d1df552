"""Parts of the documentation that are written by the code they describe.

`python -m tests.docs.generating` rewrites, in README.md and docs/*.md, everything between a line
`<!-- generated: WHAT -->` and `<!-- end -->`; a test does the same and finds nothing to change.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import FIGURES, read_figures, table
from tests.docs import churn_page, http_parts, offers_page, scores_page
from tests.faults.matrix import matrix_table

ROOT = Path(__file__).parents[2]
_PART = re.compile(r"(<!-- generated: (?P<what>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def documents() -> list[Path]:
    """README.md and docs/*.md."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def regenerated(text: str) -> str:
    """`text` with every generated part written anew."""
    return _PART.sub(lambda part: f"{part[1]}{generate(part['what'])}\n{part[3]}", text)


def generate(what: str) -> str:
    """The part called `what`; a word after the name is its argument.

    Raises:
        KeyError: there is no such part.
    """
    name, *arguments = what.split()
    return PARTS[name](*arguments)


def settings_table() -> str:
    """Every setting: variable, default, meaning."""
    from recsys.settings import Settings

    rows = ["| variable | in `barista.toml` | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        aliases = getattr(field.validation_alias, "choices", [f"BARISTA_{name.upper()}"])
        variables = " or ".join(f"`{alias}`" for alias in aliases if str(alias).isupper())
        default = "" if field.default is None else f"`{field.default}`" if str(field.default) else "empty"
        rows.append(f"| {variables} | `{name}` | {default} | {field.description} |")
    return "\n".join(rows)


def commands_section() -> str:
    """Every command of `barista` with arguments and options."""
    import typer

    from recsys.cli.app import build_app

    program: Any = typer.main.get_command(build_app())
    parts = [_parameters("Before the command", program.params)]
    for name, command in _named(program, ""):
        text = " ".join((command.help or "").split("\n\n")[0].split())
        parts.append(f"### `barista {name}`\n\n{text}\n\n{_parameters('', command.params)}".rstrip())
    return "\n\n".join(parts)


def _named(program: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Commands by their whole name, those of groups too."""
    for name, command in sorted(program.commands.items()):
        if hasattr(command, "commands"):
            yield from _named(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _parameters(title: str, parameters: list[Any]) -> str:
    shown = [each for each in parameters if each.name != "help"]
    if not shown:
        return ""
    rows = [f"| {title or 'argument or option'} | default | meaning |", "|---|---|---|"]
    for each in shown:
        name = (
            ", ".join(f"`{option}`" for option in each.opts)
            if each.opts[0].startswith("-")
            else f"`{each.name.upper()}`"
        )
        default = (
            "" if each.default is None or callable(each.default) or each.default in (False, ()) else f"`{each.default}`"
        )
        rows.append(f"| {name} | {default} | {' '.join((getattr(each, 'help', '') or '').split())} |")
    return "\n".join(rows)


def figures_table(name: str) -> str:
    """Table of docs/figures/<name>.json."""
    return table(read_figures(FIGURES / f"{name}.json"))


TOLD = {"scores", "offers", "timing", "warning", "contracts", "horizon", "leads"}
"""Figures told on a page of their own."""


def figures_of_all() -> str:
    """One table for every figure file."""
    parts = []
    for path in sorted(FIGURES.glob("*.json")):
        if path.stem in TOLD:
            continue
        figures = read_figures(path)
        commands = ", ".join(f"`{each}`" for each in dict.fromkeys(figure["command"] for figure in figures))
        parts.append(f"## {path.stem}\n\nMeasured by {commands}.\n\n{table(figures)}")
    return "\n\n".join(parts)


PARTS: dict[str, Callable[..., str]] = {
    "settings": settings_table,
    "commands": commands_section,
    "routes": http_parts.routes_section,
    "problems": http_parts.problems_section,
    "metrics": http_parts.metrics_section,
    "figures": figures_table,
    "all-figures": figures_of_all,
    "offers": offers_page.offers_section,
    "offer-goals": offers_page.goals_section,
    "offer-sources": offers_page.sources_section,
    "offer-alike": offers_page.alike_section,
    "offer-calibration": offers_page.calibration_section,
    "offer-ablation": offers_page.ablation_section,
    "offer-training": offers_page.training_section,
    "fault-matrix": matrix_table,
    "scores": scores_page.scores_section,
    "score-goals": scores_page.goals_section,
    "score-ablation": scores_page.ablation_section,
    "churn-calibration": churn_page.calibration_section,
    "timing": churn_page.timing_section,
    "horizon": churn_page.horizon_section,
}


def main() -> None:
    """Rewrite the generated parts of all documents."""
    for path in documents():
        text = path.read_text(encoding="utf-8")
        path.write_text(regenerated(text), encoding="utf-8")


if __name__ == "__main__":
    main()
