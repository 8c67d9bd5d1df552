"""What Pareto/NBD × Gamma-Gamma thinks may happen: draws from each customer's predictive distribution."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recsys.features.customer import CUSTOMER_FEATURES
from recsys.models.value import Outlook
from recsys.population.btyd import summaries
from training.tables import Past

Floats = npt.NDArray[np.float64]

DRAWS = 200


def classic_outlook(past: Past, horizon_days: int, probabilities: Sequence[float], seed: int = 0) -> Outlook:
    """Quantiles (n_customers, len(probabilities)) of orders and spend [minor units]."""
    drawings = drawn(past, horizon_days, seed)
    return Outlook(*(np.quantile(each, probabilities, axis=0, method="inverted_cdf").T for each in drawings))


def drawn(past: Past, horizon_days: int, seed: int) -> tuple[Floats, Floats]:
    """Orders and spend (DRAWS, n_customers): posterior rate and lifetime, then a Poisson number of gamma amounts."""
    history, rng = past.snapshot.history, np.random.default_rng(seed)
    seen = summaries(history.arrays(), history.order_start, past.as_of, past.zone)
    p, q, v, r, alpha, s, beta = past.base.btyd[4:]
    shape = (DRAWS, len(seen.x))
    x = np.broadcast_to(seen.x.astype(np.float64), shape)
    alive = past.rows(horizon_days)[:, CUSTOMER_FEATURES.index("pareto_alive")].astype(np.float64)
    rate = rng.gamma(r + x) / (alpha + seen.T)
    life = rng.exponential(1.0, shape) / np.maximum(rng.gamma(s, 1.0, shape) / (beta + seen.T), 1e-300)
    orders = rng.poisson(rate * np.minimum(life, horizon_days)) * (rng.random(shape) < alive)
    known = np.where(seen.mean_spend > 0, x, 0.0)
    scale = rng.gamma(q + p * known) / (v + known * np.maximum(seen.mean_spend, 0.0))
    spend = np.where(orders > 0, rng.gamma(np.maximum(p * orders, 1e-9)) / scale, 0.0)
    return orders.astype(np.float64), spend
