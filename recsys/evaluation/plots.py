"""Plots of a report as inline SVG for light and dark pages: ink is `currentColor`, the ground transparent."""

import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from recsys.evaluation.results import Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"
"""Stands for the page's text colour; replaced by `currentColor` in the SVG."""

COLOURS = ("#2f7fd6", "#d9722e", "#2e9b6a", "#a05fc4", "#8a8a8a")
"""Of the curves: each has a contrast of 3 or more against white and against #16181d."""


def svg(plot: Plot) -> str:
    """One `<svg>` element; equal plots give equal text."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": plot.title, "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, plot)
        _dress(axes, plot)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), plot)


def _draw(axes: "Axes", plot: Plot) -> None:
    if plot.kind == "deciles":
        _bars(axes, plot)
        return
    for curve, colour in zip(plot.curves, _cycle(len(plot.curves)), strict=True):
        marker = "o" if plot.kind == "reliability" else ""
        axes.plot(curve.x, curve.y, color=colour, marker=marker, markersize=3.5, linewidth=1.6, label=curve.name)
    _reference(axes, plot)


def _bars(axes: "Axes", plot: Plot) -> None:
    """Curves side by side as bars at each x."""
    width = 0.8 / max(len(plot.curves), 1)
    for place, (curve, colour) in enumerate(zip(plot.curves, _cycle(len(plot.curves)), strict=True)):
        at = [x + (place - (len(plot.curves) - 1) / 2) * width for x in curve.x]
        axes.bar(at, curve.y, width, color=colour, label=curve.name)
    axes.set_xticks(list(range(1, 11)))


def _reference(axes: "Axes", plot: Plot) -> None:
    """What chance, or a perfectly calibrated model, would show."""
    style: dict[str, Any] = {"color": INK, "linestyle": ":", "linewidth": 1.0}
    if plot.kind == "reliability":
        top = max((value for curve in plot.curves for value in (*curve.x, *curve.y)), default=1.0)
        axes.plot([0, top], [0, top], label="perfect", **style)
    elif plot.kind == "gain":
        axes.plot([0, 1], [0, 1], label="chance", **style)
    else:
        axes.axhline(1.0, label="chance", **style)


def _dress(axes: "Axes", plot: Plot) -> None:
    axes.set_xlabel(plot.x_label, color=INK)
    axes.set_ylabel(plot.y_label, color=INK)
    axes.tick_params(colors=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(INK)
    axes.grid(visible=True, axis="y", color=INK, alpha=0.15, linewidth=0.6)
    axes.set_axisbelow(True)
    if plot.curves:
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)


def _cycle(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]


def _inline(text: str, plot: Plot) -> str:
    """The bare element: no prologue, ids of its own, ink in the page's colour, a label for screen readers."""
    element = text[text.index("<svg") :].replace(INK, "currentColor")
    prefix = re.sub(r"\W+", "-", f"{plot.kind}-{plot.title}".lower())
    element = re.sub(r'\bid="', f'id="{prefix}-', element)
    element = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", element)
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    return element.replace("<svg", f'<svg role="img" aria-label="{escape(plot.title)}"', 1)
