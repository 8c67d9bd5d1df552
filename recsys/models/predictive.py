r"""What may happen to a customer beside what is expected: the distribution of orders and of spend around the forecasts.

Orders: with probability π the customer still lives and then makes a negative binomial number of orders, else none

    N ~ (1 - π) · 0 + π · NegBin(mean m / π, shape k),   logit π = a · (1, ln m, logit P(alive), ln(1 + x)),
                                                          ln k = b · (1, ln m, ln(1 + x)),

so that its mean is the forecast m, however long the horizon. That is the shape of Pareto/NBD's own predictive
distribution (Schmittlein, Morrison, Colombo 1987: alive or not, a gamma rate), with what the newest window showed in
place of what the model assumes. Spend is 0 where N = 0, else the expected spend of one who orders times a ratio, whose
quantiles were counted in the newest window, in bins of how far they may spread:

    ln v = c · (1, ln E[N | N > 0], ln(1 + x)).

Applied by one kernel row by row, so that one customer's numbers are those of the night's batch to the last bit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt

from recsys.errors import BundleError
from recsys.models.rows import Floats

LEVELS = (0.5, 0.8, 0.95)
"""Probabilities that intervals are made for."""

PROBABILITIES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""The median and the ends of the intervals, ascending."""

GRID = np.array([0.01, 0.025, *(0.05 * step for step in range(1, 20)), 0.975, 0.99])
"""Probabilities that a ratio's quantiles are kept for."""

SMALLEST = 1e-6
"""Forecasts of orders below count as this."""

MOST_ORDERS = 100_000
"""No quantile of orders is sought beyond."""


class Fitted(NamedTuple):
    """The numbers of a `Predictive` as kernels take them."""

    living: Floats
    shape: Floats
    spread: Floats
    knots: Floats
    ratios: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Predictive:
    """Fitted on the newest window by `training.predictive`; module docstring says what the numbers mean.

    living  (4,)                 coefficients a of logit π
    shape   (3,)                 coefficients b of ln k
    spread  (3,)                 coefficients c of ln v
    knots   (bins,)              ln v at the middles of the bins, ascending
    ratios  (bins, len(GRID))    quantiles of spend ÷ expected spend, of those who ordered
    """

    living: Floats
    shape: Floats
    spread: Floats
    knots: Floats
    ratios: Floats

    def quantiles(
        self,
        orders: Floats,
        spend: Floats,
        alive: Floats,
        days: Floats,
        longer: Floats | float = 1.0,
        probabilities: npt.ArrayLike = PROBABILITIES,
    ) -> tuple[Floats, Floats]:
        """Quantiles of orders and of spend, each (n, len(probabilities)), `probabilities` ascending.

        orders, spend  (n,) forecasts over the model's horizon; times `longer` (n,) over the horizon asked for
        alive, days    (n,) features `pareto_alive` and `purchase_days`
        """
        columns = (np.ascontiguousarray(each, np.float64) for each in (orders, spend, alive, days))
        factor = np.ascontiguousarray(np.broadcast_to(np.asarray(longer, np.float64), len(orders)))
        asked = np.ascontiguousarray(probabilities, np.float64)
        found: tuple[Floats, Floats] = _quantiles(
            *columns, factor, asked, self.living, self.shape, self.spread, self.knots, self.ratios
        )
        return found

    def arrays(self) -> Fitted:
        """The numbers as kernels take them."""
        return Fitted(self.living, self.shape, self.spread, self.knots, self.ratios)

    def to_json(self) -> dict[str, Any]:
        """As stored in a bundle."""
        return {name: getattr(self, name).tolist() for name in ("living", "shape", "spread", "knots", "ratios")}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read `to_json()`.

        Raises:
            BundleError: damaged.
        """
        try:
            names = ("living", "shape", "spread", "knots", "ratios")
            read = cls(*(np.array(stored[name], dtype=np.float64) for name in names))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                "The predictive distribution is damaged", found=f"{type(error).__name__}: {error}"
            ) from None
        bins = len(read.knots) if read.knots.ndim == 1 else 0
        sizes = (read.living.shape, read.shape.shape, read.spread.shape, read.ratios.shape)
        sound = bins > 0 and sizes == ((4,), (3,), (3,), (bins, len(GRID)))
        if not (sound and np.all(np.diff(read.knots) >= 0) and np.all(np.diff(read.ratios, axis=1) >= 0)):
            raise BundleError("The predictive distribution is damaged", expected="rising knots and quantiles")
        return read


@numba.njit(cache=True, nogil=True, error_model="numpy")
def count_shape(m: float, alive: float, days: float, living: Any, shape: Any) -> Any:
    """π and k of one customer with forecast `m`, P(alive) and number of purchase days."""
    log_m, log_x = math.log(max(m, SMALLEST)), math.log(max(days, 1.0))
    odds = min(max(math.log(_inside(alive) / (1.0 - _inside(alive))), -6.0), 6.0)
    logit = living[0] + living[1] * log_m + living[2] * odds + living[3] * log_x
    log_k = shape[0] + shape[1] * log_m + shape[2] * log_x
    return 1.0 / (1.0 + math.exp(-min(max(logit, -8.0), 8.0))), math.exp(min(max(log_k, -5.0), 4.0))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def none_at_all(pi: float, k: float, mu: float) -> float:
    """P(N = 0)."""
    return 1.0 - pi + pi * math.exp(-k * math.log1p(mu / k))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def spread_index(expected: float, days: float, spread: Any) -> float:
    """Logarithm of v of one who makes `expected` orders on average given that there is one."""
    return float(spread[0] + spread[1] * math.log(max(expected, 1e-9)) + spread[2] * math.log(max(days, 1.0)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _inside(alive: float) -> float:
    return min(max(alive, 1e-4), 1.0 - 1e-4) if not math.isnan(alive) else 1e-4


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _quantiles(
    orders: Any,
    spend: Any,
    alive: Any,
    days: Any,
    longer: Any,
    asked: Any,
    living: Any,
    shape: Any,
    spread: Any,
    knots: Any,
    ratios: Any,
) -> Any:
    counts, amounts = np.empty((len(orders), len(asked))), np.empty((len(orders), len(asked)))
    fitted = Fitted(living, shape, spread, knots, ratios)
    for i in range(len(orders)):
        quantiles_of(orders[i], spend[i], alive[i], days[i], longer[i], asked, fitted, counts[i], amounts[i])
    return counts, amounts


@numba.njit(cache=True, nogil=True, error_model="numpy")
def quantiles_of(
    orders: float,
    spend: float,
    alive: float,
    days: float,
    longer: float,
    asked: Any,
    fitted: Fitted,
    counts: Any,
    amounts: Any,
) -> None:
    """Quantiles `asked` of one customer's orders into `counts` and of the spend into `amounts`, both (len(asked),)."""
    bought = 0.0 if math.isnan(days) else days
    pi, k = count_shape(orders, alive, bought, fitted.living, fitted.shape)
    mean = max(orders, SMALLEST) * longer
    none = none_at_all(pi, k, mean / pi)
    _count_quantiles(pi, k, mean / pi, asked, counts)
    active = max(1.0 - none, 1e-12)
    index = spread_index(mean / active, bought, fitted.spread)
    usual = max(spend, 0.0) * longer / active
    for j in range(len(asked)):
        inner = (asked[j] - none) / active
        amounts[j] = usual * _ratio(fitted.knots, fitted.ratios, index, inner) if inner > 0.0 else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _count_quantiles(pi: float, k: float, mu: float, asked: Any, out: Any) -> None:
    """Smallest n with P(N <= n) >= p for each p asked for, ascending."""
    u = mu / (k + mu)
    term = pi * math.exp(-k * math.log1p(mu / k))
    below, n = 1.0 - pi + term, 0
    for j in range(len(asked)):
        while below < asked[j] - 1e-12 and n < MOST_ORDERS:
            term *= u * (k + n) / (n + 1.0)
            n += 1
            below += term
        out[j] = n


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _ratio(knots: Any, ratios: Any, index: float, p: float) -> float:
    """Quantile `p` of the ratio at ln v = `index`: linear between bins and between probabilities, flat beyond."""
    last = len(knots) - 1
    low = min(max(int(np.searchsorted(knots, index, side="right")) - 1, 0), last)
    high = min(low + 1, last)
    gap = knots[high] - knots[low]
    share = min(max((index - knots[low]) / gap, 0.0), 1.0) if gap > 0.0 else 0.0
    column = int(np.searchsorted(GRID, p, side="right"))
    if column == 0:
        near, far, part = 0.0, (1.0 - share) * ratios[low, 0] + share * ratios[high, 0], p / GRID[0]
        return float(near + part * far)
    if column == len(GRID):
        return float((1.0 - share) * ratios[low, -1] + share * ratios[high, -1])
    part = (p - GRID[column - 1]) / (GRID[column] - GRID[column - 1])
    near = (1.0 - share) * ratios[low, column - 1] + share * ratios[high, column - 1]
    far = (1.0 - share) * ratios[low, column] + share * ratios[high, column]
    return float(near + part * (far - near))
