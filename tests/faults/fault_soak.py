"""Half an hour at 70% of the peak of the moment; collected by `make faults`, or alone by `make soak`."""

import pytest

from tests.faults import soak


@pytest.mark.timeout(7_200)
def test_half_an_hour_without_an_error() -> None:
    """No error, p99 within the target, memory that stays."""
    assert soak.main() == 0
