"""Back-tests on the simulated café: figures, fallbacks, and errors that say what is wrong."""

import numpy as np
import pytest

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.errors import ClockError
from recsys.evaluation.results import BacktestResult
from recsys.testing.builders import at, snapshot
from training.backtesting import backtest, data_end, parse_cut
from training.fits import MODEL
from training.tables import Pasts


@pytest.fixture(scope="module")
def result(cafe_snapshot: Snapshot) -> BacktestResult:
    """All three models at a cut 28 days before the end."""
    return backtest(cafe_snapshot, data_end(cafe_snapshot) - 28 * DAY, 28, seed=1)


def test_every_model_is_tested(result: BacktestResult) -> None:
    """Nothing is skipped on a base that carries all three."""
    assert [(each.model, each.skipped) for each in result.models] == [("offers", ""), ("churn", ""), ("value", "")]


def test_churn_counts_everyone_known_at_the_cut(result: BacktestResult) -> None:
    """Customers who buy nothing count too."""
    churn = result.model("churn")
    assert churn is not None
    assert churn.tables[0].customers == result.counts["customers"]


def test_offers_leave_out_customers_who_buy_nothing(cafe_snapshot: Snapshot, result: BacktestResult) -> None:
    """The mixed table is over the buyers of the window."""
    offers, buyers = (
        result.model("offers"),
        Pasts(cafe_snapshot).outcomes(result.cut, 28, known_until=data_end(cafe_snapshot)),
    )
    assert offers is not None
    assert offers.tables[0].customers == int((np.diff(buyers.item_start) > 0).sum())


def test_churn_is_found_where_the_cafe_has_it(result: BacktestResult) -> None:
    """The simulated guests leave for reasons that show in their rhythm: the AUC is far from chance."""
    table = result.models[1].tables[0]
    model = table.contender(MODEL)
    assert model is not None
    assert (model.value("auc") or 0) > 0.75


def test_a_horizon_too_long_to_train_is_extrapolated_and_says_so(cafe_snapshot: Snapshot) -> None:
    """100 days after 110 can't be trained: a third of the history is, and the classic carries it on."""
    cut = data_end(cafe_snapshot) - 100 * DAY
    churn = backtest(cafe_snapshot, cut, 100, models=("churn",), seed=1).models[0]
    assert churn.facts["extrapolated"] == "trained for 36 days, carried to 100 days"


def test_a_model_the_data_cannot_carry_is_skipped_with_the_reason() -> None:
    """A base that sells one thing has nothing to choose an offer from."""
    rows = [
        f"c{customer:03d} cd 2024-{month:02d}-0{1 + customer % 9}" for customer in range(60) for month in range(1, 7)
    ]
    offers = backtest(snapshot(*rows), at("2024-05-01"), 20, models=("offers",)).models[0]
    assert "nothing to choose an offer from" in offers.skipped


@pytest.mark.parametrize("days", [-400, 400])
def test_a_cut_outside_the_data_is_refused(cafe_snapshot: Snapshot, days: int) -> None:
    """Before the first and after the last purchase."""
    with pytest.raises(ClockError, match="outside the data"):
        backtest(cafe_snapshot, cafe_snapshot.as_of + days * DAY, 10)


def test_a_horizon_beyond_the_data_is_refused(cafe_snapshot: Snapshot) -> None:
    """Labels must be complete."""
    with pytest.raises(ClockError, match="end before the horizon"):
        backtest(cafe_snapshot, cafe_snapshot.as_of - 10 * DAY, 30)


def test_a_date_means_everything_before_that_day() -> None:
    """The last second known is the one before midnight, business time."""
    assert parse_cut("2017-11-01", "America/New_York") == at("2017-11-01T00:00:00-04:00") - 1


def test_a_cut_that_is_no_date_is_refused() -> None:
    """The message shows what is expected."""
    with pytest.raises(ClockError, match="2017-11-01"):
        parse_cut("november", "UTC")
