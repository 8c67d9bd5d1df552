"""Value: what the past says of longer horizons, and trees that start from the classic."""

from functools import cache

import numpy as np
import pytest

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.testing.builders import random_snapshot
from training.fits import MODEL
from training.served import value_bands, value_scores
from training.tables import Pasts
from training.value import fit_value, growth_exponent
from training.windows import FitPlan, WindowRules, first_order, plan_fit

PARETO, PRIOR = CUSTOMER_FEATURES.index("pareto_orders"), CUSTOMER_FEATURES.index("prior_orders")


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


def test_intervals_are_nested_and_hold_the_levels_order() -> None:
    """For every customer the 50% interval's upper end lies at or below that of 80%, and that below 95%."""
    fit = fit_value(pasts(), planned(14), seed=1, threads=1)
    content = fit.contenders[0].content
    bands = value_bands(content, pasts().at(whole().as_of), 14)
    highs = [bands[f"orders {level}%"][1] for level in (50, 80, 95)]
    assert bool(np.all(np.diff(np.array(highs), axis=0) >= -1e-9))


def test_trees_start_from_the_classic() -> None:
    """The model's forecast over its offset is a factor that varies little where the classic is right already."""
    fit = fit_value(pasts(), planned(14), seed=1, threads=1)
    model = fit.contender(MODEL)
    assert model is not None
    past = pasts().at(whole().as_of)
    factor = value_scores(model.content, past, 14).orders / past.rows(14)[:, PRIOR].astype(np.float64)
    assert factor.std() / factor.mean() < 1.0
