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

AHEAD = 300
"""How far the clocks of two hosts may be apart [s]; a window further ahead was made by a clock that was wrong."""

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

    def lease(self, caller: str, window: int, quota: int, seconds: int = 60) -> Lease:
        """Take a block of `quota` // `BLOCKS` requests, at least one, fewer when fewer are left, perhaps none.

        A newer window than `window` stays: a host whose clock is behind takes part in it, by up to `AHEAD`. `seconds`
        is how long a window is.

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
            newest = row.number if window <= row.number <= window + ahead(seconds) else window
            used = row.granted if newest == row.number else 0
            taken = max(0, min(wanted, quota - used))
            if taken:
                values = {"number": newest, "granted": used + taken}
                connection.execute(LIMITS.update().where(LIMITS.c.caller == caller).values(**values))
        return Lease(newest, taken, max(0, quota - used - taken))


def ahead(seconds: int) -> int:
    """By how many windows of `seconds` another host's may be ahead, at least one."""
    return max(1, AHEAD // seconds)
