"""Counts what the customers with each value of an attribute buy, and shrinks it towards what everyone buys.

The lift of an item among the customers with one value is observed over expected buyers with K expected ones added to
both, the Gamma-Poisson shrinkage of DuMouchel, *Bayesian data mining in large frequency tables*, The American
Statistician 53, 1999, section 3. The mean it is drawn to is the lift of the item's family, itself drawn to 1.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY
from recsys.data.columns import CUSTOMER
from recsys.data.ids import IdMap
from recsys.data.snapshot import Snapshot
from recsys.population.attributes import Attribute, attributes_of, read_customers
from recsys.population.facts import ItemFacts
from recsys.population.lookalikes import DAYS, Lookalikes

K = 20.0
"""Expected buyers of an item that its family's lift counts for."""
K_FAMILY = 80.0
"""Expected buyers of a family's items that the lift 1 counts for."""
MOST_ITEMS = 4_096
"""Items told apart, those most popular now: a value costs a worker 8 bytes an item, shared with the other workers."""


class Shrinkage(NamedTuple):
    """Expected buyers that the family's lift counts for in an item's, and the lift 1 in a family's."""

    item: float = K
    family: float = K_FAMILY


def fit_lookalikes(
    snapshot: Snapshot,
    items: ItemFacts,
    columns: Mapping[str, list[Any]] | None = None,
    shrinkage: Shrinkage | None = None,
) -> Lookalikes:
    """Facts of the attributes of the snapshot's customers from its purchases of the last DAYS.

    `columns` are the customers table, else the one kept with the snapshot; a table has no past, so a cut of the past
    reads today's attributes and must be given them.
    """
    columns = read_customers(snapshot.directory) if columns is None else columns
    if not columns or not snapshot.catalogue.n_items:
        return Lookalikes.none()
    owner, bought = _bought_lately(snapshot)
    place = snapshot.customers.indices(columns[CUSTOMER])
    active = np.zeros(len(snapshot.customers) + 1, np.bool_)
    active[owner] = True
    attributes = attributes_of(columns, active[place])
    if not attributes:
        return Lookalikes.none()
    codes = np.stack([_coded(each, columns[each.name]) for each in attributes], axis=1)
    of_customer = np.full((len(snapshot.customers), len(attributes)), -1, np.int16)
    of_customer[place[place >= 0]] = codes[place >= 0]
    popular = np.lexsort((np.arange(len(items.rate_28)), -items.buyers, -items.rate_28))[:MOST_ITEMS]
    item = np.sort(popular).astype(np.int32)
    family = np.asarray(snapshot.catalogue.item_family)[item]
    lift, buyers, customers = _counted(attributes, of_customer, owner, bought, item, family, shrinkage or Shrinkage())
    order = np.argsort(np.array([each.encode() for each in columns[CUSTOMER]], dtype=object), kind="stable")
    return Lookalikes(
        attributes, IdMap.of(columns[CUSTOMER]), np.ascontiguousarray(codes[order]), item, lift, buyers, customers
    )


def _coded(attribute: Attribute, column: list[Any]) -> npt.NDArray[np.int16]:
    rows = {value: attribute.row(value) for value in set(column)}
    return np.array([rows[value] for value in column], np.int16)


def _bought_lately(snapshot: Snapshot) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Distinct customers and items bought by them in the last DAYS, (n,) each, sorted."""
    h, product_item = snapshot.history, snapshot.catalogue.product_item
    owner = np.repeat(np.arange(h.n_customers), np.diff(h.order_start).astype(np.int64))
    lately = (h.order_time <= snapshot.as_of) & (h.order_time > snapshot.as_of - DAYS * DAY)
    lines = np.diff(h.line_start.astype(np.int64)).astype(np.int64)
    kept = np.repeat(lately, lines) & (h.line_product >= 0) & (h.line_quantity > 0)
    item = product_item[h.line_product[kept]]
    n = max(1, snapshot.catalogue.n_items)
    pairs = np.unique(np.repeat(owner, lines)[kept][item >= 0] * n + item[item >= 0])
    return pairs // n, pairs % n


def _counted(
    attributes: tuple[Attribute, ...],
    codes: npt.NDArray[np.int16],
    owner: npt.NDArray[np.int64],
    bought: npt.NDArray[np.int64],
    item: npt.NDArray[np.int32],
    family: npt.NDArray[np.int32],
    shrinkage: Shrinkage,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Lifts, buyers and customers of every value.

    Expected are the item's buyers (with the attribute known) times the share that the value's customers have of all
    purchases, so that those who buy more of everything lift nothing.
    """
    n_values = sum(len(each.values) for each in attributes)
    lift = np.zeros((n_values, len(item)), np.float32)
    buyers = np.zeros((n_values, len(item)), np.int32)
    customers = np.zeros(n_values, np.int32)
    active = np.unique(owner)
    at = np.searchsorted(item, bought)
    told = item[np.minimum(at, len(item) - 1)] == bought
    for column, attribute in enumerate(attributes):
        row, rows = codes[owner, column], slice(attribute.first, attribute.first + len(attribute.values))
        kept = told & (row >= 0)
        np.add.at(buyers, (row[kept], at[kept]), 1)
        known = codes[active, column]
        customers += np.bincount(known[known >= 0], minlength=n_values).astype(np.int32)
        share = np.bincount(row[row >= 0] - attribute.first, minlength=len(attribute.values)) / max(1, (row >= 0).sum())
        expected = share[:, None] * buyers[rows].sum(axis=0)[None, :]
        lift[rows] = _shrunken(buyers[rows], expected, family, shrinkage)
    return lift, buyers, customers


def _shrunken(
    observed: npt.NDArray[np.int32], expected: npt.NDArray[np.float64], family: npt.NDArray[np.int32], by: Shrinkage
) -> npt.NDArray[np.float64]:
    """Logarithm of the lift (n_values, k); items without a family are drawn to 1."""
    prior = np.ones_like(expected)
    of_any, n_families = family >= 0, int(family.max(initial=-1)) + 1
    for row in range(len(expected)):
        seen, due = (np.bincount(family[of_any], each[row, of_any], n_families) for each in (observed, expected))
        prior[row, of_any] = ((seen + by.family) / (due + by.family))[family[of_any]]
    logs: npt.NDArray[np.float64] = np.log((observed + by.item * prior) / (expected + by.item))
    return logs
