"""Longer horizons: what was trained for a short one is carried on by the classics."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.data.clock import DAY
from recsys.data.snapshot import Snapshot
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.population.btyd import bgnbd_active, summaries
from training.churn import fit_churn
from training.models import MODELLING
from training.served import churn_scores, value_scores
from training.tables import Pasts
from training.value import fit_value
from training.windows import first_order, plan_fit


@pytest.fixture(scope="module")
def pasts(cafe_snapshot: Snapshot) -> Pasts:
    return Pasts(cafe_snapshot)


def test_value_by_btyd_grows_to_its_own_longer_forecast(pasts: Pasts) -> None:
    """Carried from 21 to 63 days without correction, Pareto/NBD equals Pareto/NBD asked for 63, but for its scale."""
    cut = pasts.snapshot.as_of - DAY
    plan = plan_fit(first_order(pasts.snapshot.history), cut, MODELLING["value"].rules(21))
    contender = fit_value(pasts, plan, seed=1, threads=1).contender("Pareto/NBD × Gamma-Gamma")
    assert contender is not None
    plain = replace(contender.content, facts={**contender.content.facts, "growth_exponent": 0.0})
    carried = value_scores(plain, pasts.at(cut), 63).orders
    direct = pasts.at(cut).rows(63)[:, CUSTOMER_FEATURES.index("pareto_orders")]
    np.testing.assert_allclose(carried, contender.content.parts["orders"].scale * direct, rtol=1e-5)


def test_churn_odds_move_as_those_of_btyd(pasts: Pasts) -> None:
    """The log-odds of leaving fall by as much as BG/NBD's own, computed one customer at a time."""
    cut = pasts.snapshot.as_of - DAY
    plan = plan_fit(first_order(pasts.snapshot.history), cut, MODELLING["churn"].rules(21))
    content = fit_churn(pasts, plan, seed=1, threads=1).contenders[0].content
    past = pasts.at(cut)
    short, long = churn_scores(content, past, 21), churn_scores(content, past, 63)
    history = past.snapshot.history
    seen, (r, alpha, a, b) = summaries(history.arrays(), history.order_start, cut, past.zone), past.base.btyd[:4]
    active = np.array(
        [[bgnbd_active(r, alpha, a, b, x, t, T, h) for h in (21.0, 63.0)] for x, t, T in zip(*seen[:3], strict=True)]
    )
    logit = np.log(active / (1 - active))
    expected = np.log(short / (1 - short)) - (logit[:, 1] - logit[:, 0])
    sound = (active > 1e-6).all(axis=1) & (active < 1 - 1e-6).all(axis=1)
    np.testing.assert_allclose(np.log(long / (1 - long))[sound], expected[sound], rtol=1e-6, atol=1e-6)
