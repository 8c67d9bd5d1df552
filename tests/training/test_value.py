"""Value: what the past says of longer horizons, and trees that start from the classic."""

from functools import cache

import numpy as np
import pytest

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.testing.builders import random_snapshot
from training.fits import MODEL
from training.served import value_scores
from training.tables import Pasts
from training.value import fit_value, growth_exponent
from training.windows import FitPlan, WindowRules, first_order, plan_fit

PARETO = CUSTOMER_FEATURES.index("pareto_orders")


@cache
def whole() -> Snapshot:
    return random_snapshot(11, 400)


@cache
def pasts() -> Pasts:
    return Pasts(whole())


def planned(days: int) -> FitPlan:
    return plan_fit(first_order(whole().history), whole().as_of, WindowRules(days))


def test_growth_reproduces_the_longest_window() -> None:
    """The classic's growth times (L / H)^e is how orders really grew, counted one by one."""
    plan = planned(60)
    first = first_order(whole().history)
    start = first + (plan.cut - first) // 3
    longest = (plan.cut - start) // DAY
    past, history = pasts().at(start), whole().history
    ratio = past.rows(longest)[:, PARETO].sum(dtype=np.float64) / past.rows(60)[:, PARETO].sum(dtype=np.float64)
    known = {int(c) for c in past.customers}
    bought = dict.fromkeys((60, int(longest)), 0)
    for customer in known:
        for order in range(*history.span(customer)):
            positive = any(
                history.line_quantity[line] > 0
                for line in range(history.line_start[order], history.line_start[order + 1])
            )
            for days in bought:
                bought[days] += positive and start < history.order_time[order] <= start + days * DAY
    actual = bought[int(longest)] / bought[60]
    assert ratio * (longest / 60) ** growth_exponent(pasts(), plan) == pytest.approx(actual, rel=1e-5)


def test_no_longer_window_no_correction() -> None:
    """Where the history holds nothing longer than the horizon the classic's growth stands."""
    first, cut = first_order(whole().history), whole().as_of
    days = int(0.6 * (cut - first) / DAY)
    assert growth_exponent(pasts(), FitPlan(cut, days, (), cut - days * DAY)) == 0.0


def test_the_total_is_the_classics_times_orders_a_purchase_day() -> None:
    """All contenders share out BG/NBD's expectation of the cut, counted in orders instead of purchase days."""
    fit = fit_value(pasts(), planned(14), seed=1, threads=1)
    past = pasts().at(whole().as_of)
    columns = {name: past.rows(14)[:, CUSTOMER_FEATURES.index(name)] for name in ("orders", "purchase_days")}
    per_day = float(np.nansum(columns["orders"]) / np.nansum(columns["purchase_days"]))
    wanted = past.rows(14)[:, CUSTOMER_FEATURES.index("expected_orders")].sum(dtype=np.float64) * per_day
    totals = [value_scores(each.content, past, 14).orders.sum() for each in fit.contenders]
    assert totals == pytest.approx([wanted] * len(totals), rel=1e-6)


def test_the_model_is_the_geometric_mean_of_two_forests() -> None:
    """Both of its parts keep the trees of a corrected and of a plain forest, half a score each."""
    fit = fit_value(pasts(), planned(14), seed=1, threads=1)
    model = fit.contender(MODEL)
    assert model is not None
    assert model.content.parts["orders"].scorer.n_trees == fit.trees["orders"] + fit.trees["orders alone"]  # type: ignore[attr-defined]
