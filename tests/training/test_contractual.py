"""Contracts: chances of ending against the true hazards of a simulated base."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.errors import ImportRefused, NotEnoughData
from recsys.evaluation.probability import auc, calibration_line
from recsys.samples.subscriptions import PERIOD, Subscriptions, simulate_subscriptions
from training.contractual import (
    Columns,
    Hazard,
    _period_rows,
    fit_hazard,
    judge_hazard,
    known_at,
    read_subscriptions,
    running,
)

AHEAD = 3


@pytest.fixture(scope="module")
def base() -> Subscriptions:
    """4,000 contracts of three years."""
    return simulate_subscriptions()


@pytest.fixture(scope="module")
def cut(base: Subscriptions) -> date:
    """Three periods before the end."""
    return base.end - timedelta(days=AHEAD * PERIOD)


@pytest.fixture(scope="module")
def hazard(base: Subscriptions, cut: date) -> Hazard:
    """Fitted on what was known then."""
    return fit_hazard(base.table, cut, seed=1)


def truth(base: Subscriptions, cut: date) -> tuple[pl.DataFrame, np.ndarray]:
    """Contracts running at the cut, and their true chances of ending."""
    place = pl.int_range(pl.len(), dtype=pl.Int64).alias("place")
    then = running(known_at(base.table.with_columns(place), cut))
    tenure = (pl.Series([cut] * len(then)) - then["started_at"]).dt.total_days().to_numpy() // PERIOD
    odds = base.odds[then["place"].to_numpy()]
    true = Subscriptions(then, odds, base.end).leaving(tenure, AHEAD)
    return then.drop("place"), true


def test_chances_are_the_true_ones(base: Subscriptions, cut: date, hazard: Hazard) -> None:
    """Told against true chances: right in total within a tenth, and three points apart on average."""
    then, true = truth(base, cut)
    told = hazard.leaving(then, cut, AHEAD)
    assert told.mean() == pytest.approx(true.mean(), rel=0.1)
    assert np.abs(told - true).mean() < 0.03


def test_the_slope_is_near_one(base: Subscriptions, cut: date, hazard: Hazard) -> None:
    """Outcomes drawn anew from the true hazards a hundred times over regress on the told log-odds with slope one."""
    then, true = truth(base, cut)
    draw = np.random.default_rng(5)
    label = (draw.random((100, len(true))) < true).astype(np.float64).ravel()
    assert calibration_line(label, np.tile(hazard.leaving(then, cut, AHEAD), 100)).slope == pytest.approx(1.0, abs=0.15)


def test_rank_is_near_the_oracle_s(base: Subscriptions, cut: date, hazard: Hazard) -> None:
    """The AUC is within .02 of what the true hazards reach, and far from chance."""
    then, true = truth(base, cut)
    label = np.tile(np.random.default_rng(6).random((50, len(true))) < true, 1).ravel().astype(np.float64)
    mine, oracle = (auc(label, np.tile(each, 50)) for each in (hazard.leaving(then, cut, AHEAD), true))
    assert mine > oracle - 0.02 > 0.55


def test_attributes_help(base: Subscriptions, cut: date) -> None:
    """On what really happened, plan, channel and price rank better than tenure alone."""
    judged = judge_hazard(base.table, cut, AHEAD, seed=1)
    assert auc(judged.label, judged.chance) > auc(judged.label, judged.by_tenure)


def test_what_comes_later_is_not_read(base: Subscriptions, cut: date, hazard: Hazard) -> None:
    """With all later starts and ends scrambled the trees are the same."""
    later = pl.col("ended_at") > cut
    other = base.table.filter(pl.col("started_at") <= cut).with_columns(
        pl.when(later).then(pl.lit(base.end)).otherwise(pl.col("ended_at")).alias("ended_at")
    )
    assert fit_hazard(other, cut, seed=1).forest.text == hazard.forest.text


def test_chances_add_up_over_periods(base: Subscriptions, cut: date, hazard: Hazard) -> None:
    """P(ends within 1, 2, 3 periods) rises."""
    then, _ = truth(base, cut)
    chances = [hazard.leaving(then, cut, ahead) for ahead in (1, 2, 3)]
    assert np.all(chances[0] < chances[1])
    assert np.all(chances[1] < chances[2])


def test_too_few_ends_are_refused(base: Subscriptions) -> None:
    """A hazard needs contracts that ended."""
    with pytest.raises(NotEnoughData, match="Too few contracts"):
        fit_hazard(base.table.head(20), base.end, seed=1)


def test_a_file_without_ends_is_refused(tmp_path: Path) -> None:
    """A missing column is named."""
    (tmp_path / "s.csv").write_text("customer_id,started_at\na,2024-01-01\n")
    with pytest.raises(ImportRefused, match="lack a column"):
        read_subscriptions(tmp_path / "s.csv")


def test_the_command_scores_every_running_contract(base: Subscriptions, tmp_path: Path) -> None:
    """From a CSV file to a row for each contract that runs, labelled contractual."""
    base.table.write_csv(tmp_path / "s.csv")
    arguments = ["subscriptions", str(tmp_path / "s.csv"), "--out", str(tmp_path / "out.parquet")]
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == 0, done.output
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert sorted(found["customer_id"]) == sorted(running(base.table)["customer_id"])
    assert set(found["churn_kind"]) == {"contractual"}


def test_a_contract_gives_a_row_a_period_it_ran_through() -> None:
    """65 days running: two rows, no end; ended on day 60: two, the last ended; ended on day 10: one, ended."""
    begun = date(2024, 1, 1)
    ends = [None, begun + timedelta(days=60), begun + timedelta(days=10)]
    dates = {"started_at": [begun] * 3, "ended_at": pl.Series(ends, dtype=pl.Date)}
    table = pl.DataFrame({"customer_id": ["a", "b", "c"], **dates})
    X, ended, owner = _period_rows(table, Columns.of(table), begun + timedelta(days=65), 30)
    assert (owner.tolist(), X[:, 0].tolist(), ended.tolist()) == ([0, 0, 1, 1, 2], [0, 1, 0, 1, 0], [0, 0, 0, 1, 1])
