"""Erased customers are left out of an import."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from recsys.data import columns as c
from recsys.data.ids import ABSENT
from recsys.data.merging import Base, joined, owners


def without_erased(base: Base, erased: Mapping[str, int]) -> tuple[Base, int]:
    """`base` without the orders of customers up to the instant they are `erased` at [s]; how many orders it was.

    Their row of the customers table goes too, unless a later order is left.

    Raises:
        ImportRefused: nothing is left.
    """
    snapshot = base.snapshot
    limits = np.full(snapshot.history.n_customers, np.iinfo(np.int64).min)
    for customer, at in erased.items():
        index = snapshot.customers.index(customer)
        if index != ABSENT:
            limits[index] = at
    kept = np.asarray(snapshot.history.order_time > limits[owners(snapshot)])
    gone = int((~kept).sum())
    after = joined([(snapshot, kept)], base) if gone else snapshot
    table = base.customers
    if table is not None:
        nobody = pl.Series([each for each in erased if after.customers.index(each) == ABSENT], dtype=pl.String)
        table = table.filter(~pl.col(c.CUSTOMER).cast(pl.String).is_in(nobody.implode()))
    return replace(base, snapshot=after, customers=table), gone
