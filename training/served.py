"""Contenders scored as serving scores them: through a bundle written, verified and read back."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import ZoneTable
from recsys.data.history import HistoryArrays
from recsys.features.timing import growth
from recsys.models.bundle import Bundle, BundleContent, read_bundle, write_bundle
from recsys.models.churn import ChurnModel
from recsys.models.offers import OffersModel
from recsys.models.value import Expected, Outlook, ValueModel, carried
from recsys.population.btyd import bgnbd_active, summary
from recsys.population.facts import Base
from training.tables import Past

Floats = npt.NDArray[np.float64]


def reread(content: BundleContent) -> Bundle:
    """`content` after a trip through the disk, with all checks of a bundle that is served."""
    with TemporaryDirectory() as scratch:
        directory = Path(scratch) / "bundle"
        write_bundle(directory, content)
        return read_bundle(directory)


def churn_scores(content: BundleContent, past: Past, horizon_days: int) -> Floats:
    """P(no purchase within `horizon_days`) of everyone at `past`, (n_customers,).

    Where the model was fitted for a shorter horizon, the log-odds move as much as BG/NBD's, see `active_shift`.
    """
    model = ChurnModel.from_bundle(reread(content), "")
    probability = model.probability(past.rows(model.horizon_days))
    if horizon_days == model.horizon_days:
        return probability
    history = past.snapshot.history
    short, long = float(model.horizon_days), float(horizon_days)
    shift = active_shift(history.arrays(), history.order_start, past.as_of, past.zone, past.base, short, long)
    odds = probability / (1.0 - probability) * np.exp(-shift)
    carried: Floats = odds / (1.0 + odds)
    return carried


def value_scores(content: BundleContent, past: Past, horizon_days: int) -> Expected:
    """Expected spend and orders of everyone at `past` over `horizon_days`, (n_customers,).

    Where the model was fitted for a shorter horizon, everything grows by the ratio of Pareto/NBD's expected purchases,
    set right by what longer windows of the past showed (`training.value.growth_exponent`).
    """
    model = ValueModel.from_bundle(reread(content), "")
    return model.expected(past.rows(model.horizon_days), _longer(model, past, horizon_days))


def value_outlook(
    content: BundleContent, past: Past, horizon_days: int, probabilities: Sequence[float]
) -> Outlook | None:
    """Quantiles of spend [minor units] and orders of everyone at `past`, (n_customers, len(probabilities)) each."""
    model = ValueModel.from_bundle(reread(content), "")
    return model.outlook(past.rows(model.horizon_days), _longer(model, past, horizon_days), probabilities)


def _longer(model: ValueModel, past: Past, horizon_days: int) -> Floats:
    """Factor from the model's horizon to `horizon_days`, (n_customers,)."""
    history = past.snapshot.history
    if horizon_days == model.horizon_days:
        return np.ones(history.n_customers)
    short, long = float(model.horizon_days), float(horizon_days)
    ratio = _growths(history.arrays(), history.order_start, past.as_of, past.zone, past.base, short, long)
    return carried(ratio, model.growth_exponent, short, long)


def offers_model(content: BundleContent) -> OffersModel:
    """The ranker and its curves."""
    return OffersModel.from_bundle(reread(content), "")


@numba.njit(cache=True, nogil=True, error_model="numpy")
def active_shift(
    h: HistoryArrays, order_start: Any, as_of: int, zone: ZoneTable, base: Base, short: float, long: float
) -> Any:
    """How much BG/NBD's log-odds of at least one purchase rise from `short` to `long` days, (n_customers,)."""
    out, btyd = np.zeros(len(order_start) - 1), base.btyd
    for customer in range(len(out)):
        own = summary(h, order_start[customer], order_start[customer + 1], as_of, zone)
        near = bgnbd_active(btyd[0], btyd[1], btyd[2], btyd[3], own.x, own.t_x, own.T, short)
        far = bgnbd_active(btyd[0], btyd[1], btyd[2], btyd[3], own.x, own.t_x, own.T, long)
        near, far = min(max(near, 1e-9), 1 - 1e-9), min(max(far, 1e-9), 1 - 1e-9)
        out[customer] = np.log(far / (1 - far)) - np.log(near / (1 - near))
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _growths(
    h: HistoryArrays, order_start: Any, as_of: int, zone: ZoneTable, base: Base, short: float, long: float
) -> Any:
    out = np.zeros(len(order_start) - 1)
    for customer in range(len(out)):
        low, high = order_start[customer], order_start[customer + 1]
        out[customer] = growth(h, low, high, as_of, zone, base, short, long)
    return out
