"""Leads: chances of a first purchase against a simulated base whose chances are known."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.errors import ImportRefused, NotEnoughData
from recsys.evaluation.probability import auc, calibration_line
from training.leads import Leads, fit_leads, judged, read_leads

FIRST, DAYS, HORIZON = date(2024, 1, 1), 200, 14
LAST = FIRST + timedelta(days=DAYS - 1)


def simulated(n: int = 3_000, seed: int = 3) -> tuple[Leads, np.ndarray]:
    """Leads that view now and then; each day a chance set by source and last week's views brings the first purchase.

    Beside the leads the true chance of a first purchase on the day that is asked for, (n,).
    """
    draw = np.random.default_rng(seed)
    start, partner, keen = draw.integers(0, 150, n), draw.random(n) < 0.4, draw.gamma(1.0, 0.08, n)
    viewed = draw.random((n, DAYS)) < keen[:, None]
    viewed &= np.arange(DAYS) >= start[:, None]
    week = np.cumsum(viewed, axis=1)
    week[:, 7:] = week[:, 7:] - week[:, :-7].copy()
    chance = 1 / (1 + np.exp(-(-6.0 + 0.9 * np.minimum(week, 4) + 0.8 * partner[:, None])))
    bought = (draw.random((n, DAYS)) < chance) & (np.arange(DAYS) > start[:, None])
    day = np.where(bought.any(axis=1), bought.argmax(axis=1), DAYS)
    lead, at = np.nonzero(viewed & (np.arange(DAYS) <= day[:, None]))
    days = [FIRST + timedelta(days=k) for k in range(DAYS)]
    ids = [f"l{k:04d}" for k in range(n)]
    table = pl.DataFrame(
        {
            "lead_id": ids,
            "created_at": [days[k] for k in start],
            "purchased_at": pl.Series([days[k] if k < DAYS else None for k in day], dtype=pl.Date),
            "source": ["partner" if each else "web" for each in partner],
        }
    )
    touches = pl.DataFrame({"lead_id": [ids[k] for k in lead], "occurred_at": [days[k] for k in at], "kind": "view"})
    return Leads(table, touches), chance[:, DAYS - 1 - HORIZON]


@pytest.fixture(scope="module")
def leads() -> Leads:
    return simulated()[0]


@pytest.fixture(scope="module")
def told(leads: Leads) -> tuple[np.ndarray, np.ndarray]:
    """Chances told one horizon before the end, and what happened."""
    cut = LAST - timedelta(days=HORIZON)
    return judged(leads, fit_leads(leads, cut, HORIZON, seed=1), cut)


def test_rank_is_near_that_of_the_true_chances(leads: Leads, told: tuple[np.ndarray, np.ndarray]) -> None:
    """The AUC is no more than .03 below that of the chances that drew the purchases."""
    cut = LAST - timedelta(days=HORIZON)
    asked = [int(lead[1:]) for lead in leads.open_at(cut)["lead_id"]]
    assert auc(told[1], told[0]) > auc(told[1], simulated()[1][asked]) - 0.03 > 0.6


def test_the_sum_is_right(told: tuple[np.ndarray, np.ndarray]) -> None:
    """As many buy as were told, within three standard errors of what happened and of the curve together."""
    chance, label = told
    assert abs(label.sum() - chance.sum()) < 3 * np.sqrt(2 * (chance * (1 - chance)).sum())


def test_the_slope_is_near_one(told: tuple[np.ndarray, np.ndarray]) -> None:
    """The calibration line's slope is one within three standard errors."""
    line = calibration_line(told[1], told[0])
    assert line.slope == pytest.approx(1.0, abs=3 * line.slope_error)


def test_what_comes_later_is_not_read(leads: Leads) -> None:
    """Without all later rows the trees are the same."""
    cut = LAST - timedelta(days=HORIZON)
    early = leads.table.filter(pl.col("created_at") <= cut)
    over = pl.when(pl.col("purchased_at") <= cut).then(pl.col("purchased_at")).alias("purchased_at")
    then = Leads(early.with_columns(over), leads.touches.filter(pl.col("occurred_at") <= cut))
    texts = {fit_leads(each, cut, HORIZON, seed=1).forest.text for each in (leads, then)}
    assert len(texts) == 1


def test_leads_that_bought_are_no_leads_any_more(leads: Leads) -> None:
    """Those who bought by the day, or are not known yet, get no chance."""
    ids, _ = fit_leads(leads, LAST, HORIZON, seed=1).chance(leads, LAST)
    assert set(ids) == set(leads.table.filter(pl.col("purchased_at").is_null())["lead_id"])


def test_too_few_first_purchases_are_refused(leads: Leads) -> None:
    """A model needs leads that bought."""
    with pytest.raises(NotEnoughData, match="Too few leads"):
        fit_leads(Leads(leads.table.head(30), leads.touches), LAST, HORIZON, seed=1)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    """A file without kinds is refused."""
    (tmp_path / "l.csv").write_text("lead_id,created_at,purchased_at\na,2024-01-01,\n")
    (tmp_path / "t.csv").write_text("lead_id,occurred_at\na,2024-01-02\n")
    with pytest.raises(ImportRefused, match="lacks kind"):
        read_leads(tmp_path / "l.csv", tmp_path / "t.csv")


def test_the_command_scores_every_open_lead(leads: Leads, tmp_path: Path) -> None:
    """From two CSV files to a row an open lead."""
    leads.table.write_csv(tmp_path / "l.csv")
    leads.touches.write_csv(tmp_path / "t.csv")
    arguments = ["leads", str(tmp_path / "l.csv"), str(tmp_path / "t.csv"), "--out", str(tmp_path / "out.csv")]
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == 0, done.output
    assert len(pl.read_csv(tmp_path / "out.csv")) == leads.table["purchased_at"].null_count()
