"""What comes in the next basket after an item."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.history import HistoryArrays, PurchaseHistory
from recsys.population.facts import Transitions
from recsys.population.neighbours import top_rows

NEWEST = 400_000
"""Pairs of consecutive baskets that are counted, the newest ones; more change little and cost memory."""
SHRINK = 25.0


def fit_transitions(
    history: PurchaseHistory, product_item: npt.NDArray[np.int32], n_items: int, as_of: int, k: int
) -> Transitions:
    """For each item the `k` most likely items of the customer's next basket.

    Rate = (n_ij + 25 p_j) / (n_i + 25): n_i consecutive basket pairs whose first basket holds i, n_ij of them whose
    second holds j, p_j the share of second baskets with j.
    """
    from scipy.sparse import csr_matrix

    since = _newest(history, as_of)
    lines, starts = baskets(history.arrays(), history.order_start, product_item, as_of, since)
    if len(starts) < 3:
        return Transitions(np.full((n_items, k), -1, np.int32), np.zeros((n_items, k), np.float32))
    owner, items, paired = lines[0], lines[1], lines[2]
    n = len(starts) - 1
    whole = csr_matrix((np.ones(len(items), np.float32), (owner, items)), shape=(n, n_items))
    has_next = np.zeros(n, bool)
    has_next[owner[paired == 1]] = True
    first, second = whole[np.flatnonzero(has_next)], whole[np.flatnonzero(has_next) + 1]
    joint = (first.T @ second).tocsr()
    usual = np.asarray(second.sum(axis=0)).ravel() / max(1, second.shape[0])
    seen = np.asarray(first.sum(axis=0)).ravel()
    row = np.repeat(np.arange(n_items), np.diff(joint.indptr))
    joint.data = (joint.data + SHRINK * usual[joint.indices]) / (seen[row] + SHRINK)
    item, rate = top_rows(joint, k, skip_self=False)
    return Transitions(item, rate)


def _newest(history: PurchaseHistory, as_of: int) -> int:
    times = history.order_time[history.order_time <= as_of]
    if len(times) <= NEWEST:
        return int(times.min()) if len(times) else as_of
    return int(np.partition(times, len(times) - NEWEST)[len(times) - NEWEST])


@numba.njit(cache=True, nogil=True)
def baskets(h: HistoryArrays, order_start: Any, product_item: Any, as_of: int, since: int) -> Any:
    """Baskets since `since` [s] as (basket, item, has a next basket) triples (3, n), and the basket's starts in them.

    A basket is the set of items of one order; orders without items are passed over.
    """
    total = len(h.line_product)
    out = np.zeros((3, total), np.int64)
    starts = np.zeros(len(h.order_time) + 1, np.int64)
    n, basket = 0, 0
    for customer in range(len(order_start) - 1):
        previous = -1
        for order in range(order_start[customer], order_start[customer + 1]):
            if h.order_time[order] < since or h.order_time[order] > as_of:
                continue
            begin = n
            for line in range(h.line_start[order], h.line_start[order + 1]):
                product = h.line_product[line]
                item = product_item[product] if product >= 0 else -1
                if item < 0 or h.line_quantity[line] <= 0:
                    continue
                known = False
                for other in range(begin, n):
                    known = known or out[1, other] == item
                if not known:
                    out[0, n], out[1, n] = basket, item
                    n += 1
            if n > begin:
                if previous >= 0:
                    for at in range(starts[previous], begin):
                        out[2, at] = 1
                starts[basket] = begin
                previous = basket
                basket += 1
    starts[basket] = n
    return out[:, :n], starts[: basket + 1]
