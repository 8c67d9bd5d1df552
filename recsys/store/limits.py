"""Request limits shared by all workers of all hosts: each leases blocks of requests from one table.

A window of `seconds` holds `quota` requests of one caller. A worker takes a block of them in one short transaction and
hands them out without asking again, so that a limit costs one write a block. What is granted never exceeds the quota; a
block left in an idle worker when the window ends is lost.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Integer, String, Table, select

from recsys.store.database import Database
from recsys.store.schema import METADATA

BLOCKS = 100
"""A block is the quota divided by this: an idle worker holds back at most 1% of it."""

LIMITS = Table(
    "rate_windows",
    METADATA,
    Column("caller", String(32), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("granted", Integer, nullable=False),
)
"""Of each caller the newest window (its number since 1970) and the requests granted in it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Requests a worker may let pass in a window, and those nobody has leased yet."""

    window: int
    granted: int
    left: int


class LimitStore:
    """Leases of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lease(self, caller: str, window: int, quota: int) -> Lease:
        """Take a block of `quota` // `BLOCKS` requests, at least one, fewer when fewer are left, perhaps none.

        A newer window than `window` stays: a host whose clock is behind takes part in it.

        Raises:
            StoreUnavailable: nothing was taken.
        """
        wanted = max(1, quota // BLOCKS)
        with self._database.writing() as connection:
            row = connection.execute(select(LIMITS).where(LIMITS.c.caller == caller)).first()
            if row is None:
                taken = min(wanted, quota)
                connection.execute(LIMITS.insert().values(caller=caller, number=window, granted=taken))
                return Lease(window, taken, quota - taken)
            used = row.granted if row.number >= window else 0
            taken = max(0, min(wanted, quota - used))
            newest = max(row.number, window)
            if taken:
                values = {"number": newest, "granted": used + taken}
                connection.execute(LIMITS.update().where(LIMITS.c.caller == caller).values(**values))
        return Lease(newest, taken, max(0, quota - used - taken))
