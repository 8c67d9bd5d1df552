"""An erasure may be killed at any step: all of the customer is there or all is gone, and a repetition ends it."""

from itertools import count

from recsys.store import Database
from tests.faults.erasing import CANARY, erase, fill, held, killed_at_each_step


def test_an_erasure_killed_at_any_step_is_whole_or_not_at_all(tmp_path):
    """Killed before and after each statement, restarted, repeated: gone from every table and file, for good."""
    addresses = (f"sqlite:///{tmp_path}/{number}.db" for number in count())
    assert killed_at_each_step(addresses, tmp_path) == []


def test_no_byte_of_the_id_is_left_in_the_files_while_the_service_runs(tmp_path):
    """Neither free pages nor the write-ahead log hold it as soon as the erasure is acknowledged."""
    address = f"sqlite:///{tmp_path}/barista.db"
    fill(address)
    database = Database.open(address)
    database.fetch("SELECT 1", ())
    before = [path.name for path in sorted(tmp_path.iterdir()) if CANARY.encode() in path.read_bytes()]
    erase(database)
    after = [path.name for path in sorted(tmp_path.iterdir()) if CANARY.encode() in path.read_bytes()]
    assert (bool(before), after, held(database)) == (True, [], {})
