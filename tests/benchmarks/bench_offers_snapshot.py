"""A next-basket problem as Barista sees it: purchases in time, the asked users' last ones not yet arrived."""

import numpy as np
import numpy.typing as npt

from recsys.data.catalogue import Catalogue
from recsys.data.clock import DAY
from recsys.data.history import UNKNOWN_CODE, PurchaseHistory
from recsys.data.ids import IdMap, Texts
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.evaluation.baskets_data import Baskets
from recsys.evaluation.next_basket import Problem

AS_OF = 20_000 * DAY
"""The day [s] of all targets; the basket before lies `spacing` days earlier, and so on."""


def snapshot_of(problem: Problem, spacing: int = 1) -> Snapshot:
    """Histories of all users and the targets that may be learned from; user i is customer i, item j is item j.

    `spacing`: days between two baskets of a user.
    """
    baskets, times = merged(problem.history, problem.targets)
    times = AS_OF - (AS_OF - times) * spacing
    item_start = baskets.item_start.astype(np.uint32)
    n_orders, n_lines = len(times), len(baskets.item)
    history = PurchaseHistory(
        order_start=baskets.basket_start,
        order_time=times,
        order_key=np.arange(n_orders, dtype=np.uint64),
        order_store=np.full(n_orders, UNKNOWN_CODE, np.uint16),
        order_channel=np.full(n_orders, UNKNOWN_CODE, np.uint16),
        line_start=item_start,
        line_product=_sorted_lines(baskets),
        line_quantity=np.ones(n_lines, np.float32),
        line_amount=np.full(n_lines, 100, np.int64),
        line_discount=np.zeros(n_lines, np.int32),
    )
    nobody = IdMap.of([])
    customers = IdMap.of(f"{user:08d}" for user in range(baskets.n_users))
    return Snapshot("memory", SnapshotFacts(AS_OF), customers, nobody, nobody, _catalogue(baskets.n_items), history)


def merged(history: Baskets, targets: Baskets) -> tuple[Baskets, npt.NDArray[np.int64]]:
    """Each user's history, then the target if there is one; and the time of each basket [s]."""
    owner = np.concatenate([history.owner, targets.owner])
    newest = np.concatenate([np.zeros(len(history.owner), np.int64), np.ones(len(targets.owner), np.int64)])
    order = np.lexsort((np.arange(len(owner)), newest, owner))
    sizes = np.concatenate([np.diff(history.item_start), np.diff(targets.item_start)])
    starts = np.concatenate([history.item_start[:-1], targets.item_start[:-1] + len(history.item)])
    item_start = np.concatenate([[0], np.cumsum(sizes[order])])
    within = np.arange(item_start[-1]) - np.repeat(item_start[:-1], sizes[order])
    item = np.concatenate([history.item, targets.item])[np.repeat(starts[order], sizes[order]) + within]
    basket_start = history.basket_start + np.concatenate([[0], np.cumsum(np.diff(targets.basket_start))])
    whole = Baskets(history.users, history.n_items, basket_start, item_start, item)
    ends = history.basket_start[1:] - history.basket_start[:-1]
    place = np.arange(len(owner)) - basket_start[whole.owner]
    return whole, (AS_OF - (ends[whole.owner] - place) * DAY).astype(np.int64)


def _sorted_lines(baskets: Baskets) -> npt.NDArray[np.int32]:
    """Items of each basket ascending, as lines of an order stand."""
    basket, item = baskets.pairs()
    return item[np.lexsort((item, basket))]


def _catalogue(n_items: int) -> Catalogue:
    ids = IdMap.of(f"{item:08d}" for item in range(n_items))
    absent = np.full(n_items, -1, np.int32)
    return Catalogue(
        products=ids,
        items=ids,
        item_names=Texts.of(ids),
        product_item=np.arange(n_items, dtype=np.int32),
        item_family=absent,
        item_group=absent,
        offerable=np.ones(n_items, np.bool_),
        price=np.full(n_items, np.nan, np.float32),
        families=(),
        groups=(),
        item_level="product",
        levels=(),
    )
