"""Looks: items a customer viewed, clicked on or put in the cart, as they were reported; never purchases."""

from typing import NamedTuple

from recsys.data.clock import DAY

LOOK_BACK_DAYS = 14
"""A look says something for so long [days]: half of the usual horizon of the offers. After it what was wanted is
bought, here or elsewhere, or given up. No training data could choose it: imported purchases hold no looks."""
MOST_LOOKS = 200
"""The newest looks of a customer that are read, so that a robot's clicks cost a request no more than that."""


class Look(NamedTuple):
    """One report: when [s], which products, and whether they went into the cart."""

    occurred_at: int
    product_ids: tuple[str, ...]
    cart: bool


def looks_since(as_of: int) -> int:
    """Instant after which looks count at `as_of` [s]."""
    return as_of - LOOK_BACK_DAYS * DAY
