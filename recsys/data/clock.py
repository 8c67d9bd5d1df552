"""Instants: seconds since 1970 in UTC inside, ISO 8601 with a zone at the edges, days in the business time zone."""

import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from recsys.errors import ClockError

DAY = 86_400
"""Seconds in a day."""


class ZoneTable(NamedTuple):
    """Offsets of a time zone as arrays a kernel can search: from `starts[i]` on, local = UTC + `offsets[i]` seconds."""

    starts: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


def resolve_as_of(clock: str, snapshot_as_of: int, at: int | None = None) -> int:
    """Instant that answers are given for.

    `clock` is `now`, `snapshot` or an ISO instant with a zone; `at` (a request's own instant) wins over it. When `now`
    lies less than a day before the snapshot's end the machine's clock was set back: that end is as near as it gets.

    Raises:
        ClockError: the instant lies before the snapshot's end, whose population facts would look into its future.
    """
    if at is not None:
        as_of = at
    elif clock == "now":
        as_of = int(time.time())
        as_of = snapshot_as_of if 0 < snapshot_as_of - as_of < DAY else as_of
    elif clock == "snapshot":
        return snapshot_as_of
    else:
        as_of = to_seconds(datetime.fromisoformat(clock))
    if as_of < snapshot_as_of:
        raise ClockError(
            "The clock stands before the end of the imported data",
            found=to_iso(as_of),
            expected=f"{to_iso(snapshot_as_of)} or later",
            cure="Set BARISTA_CLOCK to `snapshot` or `now`, or use `barista backtest --cut` for the past",
        )
    return as_of


def to_seconds(instant: datetime) -> int:
    """Seconds since 1970-01-01T00:00Z of an aware datetime, rounded down."""
    return int(instant.timestamp() // 1)


def to_iso(seconds: int, zone: str = "UTC") -> str:
    """ISO 8601 text of an instant in `zone`."""
    return _iso(int(seconds), zone)


def iso_text(seconds: int, zone: str) -> str:
    """`to_iso` of an instant that is unlike those of other answers."""
    shift = _shift(seconds // DAY, zone)
    if shift is None:
        return datetime.fromtimestamp(seconds, ZoneInfo(zone)).isoformat()
    offset, text = shift
    day, rest = divmod(seconds + offset, DAY)
    return f"{_day(day)}{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}{text}"


_iso = lru_cache(4_096)(iso_text)  # `as_of` is the same in many answers


@lru_cache(4_096)
def _shift(day: int, zone: str) -> tuple[int, str] | None:
    """Offset of `zone` [s] and its text during a day since 1970 in UTC; None of one on which clocks change."""
    ends = [datetime.fromtimestamp(at, ZoneInfo(zone)) for at in (day * DAY, (day + 1) * DAY)]
    offsets = [end.utcoffset() for end in ends]
    if offsets[0] is None or offsets[0] != offsets[1]:
        return None
    return int(offsets[0].total_seconds()), ends[0].isoformat()[len("2024-01-01T00:00:00") :]


@lru_cache(4_096)
def _day(day: int) -> str:
    """Text of a day since 1970, up to the hour."""
    return f"{date(1970, 1, 1) + timedelta(days=day)}T"


def zone_table(zone: str, first: int, last: int) -> ZoneTable:
    """Offsets of `zone` between the instants `first` and `last` [s], found by bisecting between days."""
    info = ZoneInfo(zone)

    def offset(at: int) -> int:
        """Seconds east of UTC at an instant [s]."""
        shift = datetime.fromtimestamp(at, UTC).astimezone(info).utcoffset() or timedelta(0)
        return int(shift.total_seconds())

    starts, offsets = [int(first) - DAY], [offset(int(first) - DAY)]
    for day in range(int(first), int(last) + 2 * DAY, DAY):
        if offset(day) != offsets[-1]:
            low, high = day - DAY, day
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if offset(middle) == offset(day) else (middle, high)
            starts.append(high)
            offsets.append(offset(day))
    return ZoneTable(np.array(starts, np.int64), np.array(offsets, np.int64))
