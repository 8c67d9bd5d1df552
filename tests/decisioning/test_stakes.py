"""The threshold of least expected cost, and who is at risk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.decisioning import score
from recsys.decisioning.stakes import Stakes, judged_by_cost
from recsys.settings import Settings
from recsys.testing.builders import random_snapshot
from recsys.testing.serving import linear_serving


@given(st.floats(0.01, 50), st.floats(1, 500), st.floats(0.01, 1), st.integers(0, 100))
def test_no_other_threshold_costs_less(cost: float, value: float, rate: float, seed: int) -> None:
    """Of all thresholds, that of the stakes has the least expected cost for customers whose chances are known."""
    stakes, p = Stakes(cost, value, rate), np.random.default_rng(seed).random(50)

    def expected(threshold: float) -> float:
        contacted = p >= threshold
        return float(np.where(contacted, cost + p * (1 - rate) * value, p * value).sum())

    others = [0.0, *p.tolist(), 1.1]
    assert expected(stakes.threshold) <= min(expected(other) for other in others) + 1e-9


SOLD = {"contact_cost": 2.0, "saved_value": 50.0, "save_rate": 0.1}


@pytest.mark.parametrize("missing", ["saved_value", "save_rate", "contact_cost"])
def test_without_all_costs_nobody_is_called_at_risk(missing: str) -> None:
    """One figure short, there is no threshold."""
    settings = Settings(**{name: value for name, value in SOLD.items() if name != missing})
    churn = score(judged_by_cost(linear_serving(whole()), settings), "c0005", (), whole().as_of).churn
    assert (churn.threshold, churn.at_risk) == (None, None)


def whole():
    return random_snapshot(31, 10)


@pytest.mark.parametrize(("saved", "at_risk"), [(1_000.0, True), (20.1, False)])
def test_at_risk_is_who_pays_to_be_contacted(saved: float, at_risk: bool) -> None:
    """A contact for 2 that keeps one in ten pays from 20 / value on: everybody of 1,000, hardly anyone of 20."""
    settings = Settings(**SOLD | {"saved_value": saved})
    churn = score(judged_by_cost(linear_serving(whole()), settings), "c0005", (), whole().as_of).churn
    assert (churn.threshold, churn.at_risk) == (pytest.approx(20 / saved), at_risk)
