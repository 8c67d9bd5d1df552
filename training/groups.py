"""Groups of the customers known at a cut: by what they did, and by what the customers table says of them."""

import numpy as np
import numpy.typing as npt

from recsys.data.columns import CUSTOMER
from recsys.data.snapshot import Snapshot
from recsys.evaluation.subgroups import attribute_groups, behaviour_groups
from recsys.features.customer import CUSTOMER_FEATURES
from training.tables import Past

NOT_GROUPED = ("acquisition_cost",)
"""Columns of the customers table that are no attributes; opt-outs are none either."""


def groups_at(past: Past, whole: Snapshot, horizon_days: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Masks (n_customers,) over the customers of `past`, cut from `whole`, by the group's name."""
    behaviour = behaviour_groups(past.rows(horizon_days), CUSTOMER_FEATURES, horizon_days)
    return behaviour | attribute_groups(_attributes(past, whole))


def _attributes(past: Past, whole: Snapshot) -> dict[str, list[object]]:
    """Attributes of the customers of `past` by name; none where no customers table was imported."""
    path = whole.directory / "customers.parquet" if whole.directory else None
    if path is None or not path.is_file():
        return {}
    import polars as pl

    table = pl.read_parquet(path)
    place = whole.customers.indices(table[CUSTOMER].cast(pl.String).to_list())
    row = np.full(len(whole.customers), -1, np.int64)
    row[place[place >= 0]] = np.flatnonzero(place >= 0)
    wanted = [name for name in table.columns if name not in (CUSTOMER, *NOT_GROUPED) and not name.startswith("opt_out")]
    found = {}
    for name in wanted:
        values = table[name].to_list()
        found[name] = [values[k] if k >= 0 else None for k in row[past.customers].tolist()]
    return found
