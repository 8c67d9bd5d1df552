"""The report: one page, nothing from outside, readable by day and night, saying what the figures say."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from recsys.evaluation.plots import COLOURS, INK, svg
from recsys.evaluation.report import render_report, write_report
from tests.evaluation.examples import backtest


class Page(HTMLParser):
    """Ids, addresses and open tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in {"src", "href", "xlink:href"}:
                self.addresses.append(str(value))


@pytest.fixture(scope="module")
def text() -> str:
    return render_report(backtest())


def test_nothing_comes_from_outside(text: str) -> None:
    """Every address on the page points into the page, and there is no script."""
    page = Page(text)
    assert (all(each.startswith("#") for each in page.addresses), "script" in page.tags) == (True, False)


def test_ids_are_unique(text: str) -> None:
    """No two elements share an id, though every plot brings its own (sections of the same model aside)."""
    ids = [each for each in Page(text).ids if each != "offers"]
    assert len(ids) == len(set(ids))


def test_every_plot_is_drawn(text: str) -> None:
    """Three churn plots and one value plot stand on the page."""
    assert Page(text).tags.count("svg") == 4


def test_names_are_escaped(text: str) -> None:
    """A contender's name can't inject markup."""
    assert ("recency <rule>" in text, "recency &lt;rule&gt;" in text) == (False, True)


@pytest.mark.parametrize(
    "words",
    [
        "2017-07-14T04:40:00+02:00",
        "Promoted: LightGBM.",
        "Not promoted: popularity.",
        "The data name no products.",
        "1,234",
        "Items the customer never bought",
        "Small.",
    ],
)
def test_page_says(text: str, words: str) -> None:
    """Cut in business time, verdicts, what was skipped, counts, parts and notes are on the page."""
    assert words in " ".join(text.replace("<strong>", "").replace("\n", " ").split())


def test_equal_results_give_equal_pages(text: str) -> None:
    """Rendering again gives the same bytes."""
    assert render_report(backtest()) == text


def test_ink_takes_the_colour_of_the_page(text: str) -> None:
    """No ink is fixed: text and axes follow the page's light or dark colours."""
    assert (INK in text, "currentColor" in text, "#000000" in text) == (False, True, False)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("ground", ["#ffffff", "#16181d"])
def test_curves_stand_out_from_both_grounds(colour: str, ground: str) -> None:
    """Contrast (WCAG 2.2) of every curve against both backgrounds is 3 or more."""

    def luminance(code: str) -> float:
        parts = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def test_plot_has_a_label() -> None:
    """A screen reader hears the plot's title."""
    assert 'aria-label="Reliability"' in svg(backtest().models[1].plots[0])


def test_file_is_written(tmp_path: Path, text: str) -> None:
    """The page lands in a folder that is made for it."""
    write_report(tmp_path / "reports" / "backtest.html", backtest())
    assert (tmp_path / "reports" / "backtest.html").read_text(encoding="utf-8") == text
