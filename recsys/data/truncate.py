"""The past as it was: a snapshot cut at an instant, indistinguishable from importing only the rows up to it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recsys.data.catalogue import Catalogue
from recsys.data.history import UNKNOWN_CODE, PurchaseHistory
from recsys.data.ids import ABSENT, IdMap
from recsys.data.snapshot import Snapshot
from recsys.errors import NotEnoughData


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A snapshot up to an instant, and where its rows stand in the whole one.

    snapshot   only customers, products and items with an order up to the cut
    customers  int32 (snapshot.n_customers,)  their indices in the whole snapshot
    items      int32 (snapshot.n_items,)      their indices in the whole snapshot
    """

    snapshot: Snapshot
    customers: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]


def until(snapshot: Snapshot, as_of: int) -> Cut:
    """`snapshot` with everything after `as_of` [s] removed and all ids coded anew, as if imported then.

    `facts.as_of` becomes the requested instant, so that features know how long nothing happened.

    Raises:
        NotEnoughData: no order up to `as_of`.
    """
    history = snapshot.history
    orders_each = history.order_start[1:] - history.order_start[:-1]
    order_owner = np.repeat(np.arange(history.n_customers, dtype=np.int32), orders_each)
    kept_orders = history.order_time <= as_of
    if not kept_orders.any():
        raise NotEnoughData("No purchase up to the cut", found=as_of, expected="an instant after the first purchase")
    owners = order_owner[kept_orders]
    customers = np.unique(owners)
    line_start = history.line_start.astype(np.int64)
    line_counts = line_start[1:] - line_start[:-1]
    kept_lines = np.repeat(kept_orders, line_counts)
    catalogue, product_code, items = _catalogue_of(snapshot.catalogue, history.line_product[kept_lines])
    stores, store = _recoded(snapshot.stores, history.order_store[kept_orders])
    channels, channel = _recoded(snapshot.channels, history.order_channel[kept_orders])
    line_product = history.line_product[kept_lines]
    truncated = PurchaseHistory(
        order_start=_offsets(np.bincount(np.searchsorted(customers, owners), minlength=len(customers))),
        order_time=history.order_time[kept_orders],
        order_key=history.order_key[kept_orders],
        order_store=store,
        order_channel=channel,
        line_start=_offsets(line_counts[kept_orders]).astype(np.uint32),
        line_product=np.where(line_product >= 0, product_code[line_product], ABSENT).astype(np.int32),
        line_quantity=history.line_quantity[kept_lines],
        line_amount=history.line_amount[kept_lines],
        line_discount=history.line_discount[kept_lines],
    )
    past = Snapshot(
        "memory",
        replace(snapshot.facts, as_of=int(as_of)),
        snapshot.customers.subset(customers),
        stores,
        channels,
        catalogue,
        truncated,
    )
    return Cut(past, customers.astype(np.int32), items)


def _offsets(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def _recoded(ids: IdMap, codes: npt.NDArray[np.uint16]) -> tuple[IdMap, npt.NDArray[np.uint16]]:
    used = np.unique(codes[codes != UNKNOWN_CODE])
    new = np.full(UNKNOWN_CODE + 1, UNKNOWN_CODE, np.uint16)
    new[used] = np.arange(len(used), dtype=np.uint16)
    return ids.subset(used), new[codes]


def _catalogue_of(
    catalogue: Catalogue, line_product: npt.NDArray[np.int32]
) -> tuple[Catalogue, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Catalogue of the products in `line_product`, new code of every product, and the kept items."""
    products = np.unique(line_product[line_product >= 0])
    code = np.full(catalogue.n_products, ABSENT, np.int32)
    code[products] = np.arange(len(products), dtype=np.int32)
    product_item = catalogue.product_item[products]
    items = np.unique(product_item[product_item >= 0])
    item_code = np.full(catalogue.n_items, ABSENT, np.int32)
    item_code[items] = np.arange(len(items), dtype=np.int32)
    small = replace(
        catalogue,
        products=catalogue.products.subset(products),
        items=catalogue.items.subset(items),
        item_names=catalogue.item_names.subset(items),
        product_item=np.where(product_item >= 0, item_code[product_item], ABSENT).astype(np.int32),
        item_family=catalogue.item_family[items],
        item_group=catalogue.item_group[items],
        offerable=catalogue.offerable[items],
        price=catalogue.price[items],
    )
    return small, code, items.astype(np.int32)
