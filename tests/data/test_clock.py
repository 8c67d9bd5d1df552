"""Instants as text: the standard library's own ISO 8601, whatever the zone and however near its clocks change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.clock import DAY, to_iso

ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana", "Africa/Monrovia")


@given(seconds=st.integers(-2 * DAY, 4_102_444_800), zone=st.sampled_from(ZONES))
def test_any_instant_reads_as_the_library_writes_it(seconds: int, zone: str) -> None:
    """From 1969 to 2100."""
    assert to_iso(seconds, zone) == datetime.fromtimestamp(seconds, ZoneInfo(zone)).isoformat()


@pytest.mark.parametrize("zone", ZONES)
def test_days_on_which_clocks_change_are_right_to_the_second(zone: str) -> None:
    """Each quarter of an hour, and the second before it, of the days around the changes of 2024."""
    days = range(1_709_942_400, 1_711_929_600, 900)
    instants = [at - early for at in days for early in (0, 1)]
    expected = [datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat() for at in instants]
    assert [to_iso(at, zone) for at in instants] == expected
