"""Who counts as erased while the database is away: whoever any worker read of, also to a worker that begins then."""

import json

import pytest

from recsys.errors import StoreUnavailable
from recsys.settings import Settings
from recsys.store import Tombstones
from recsys.store.tombstones import subject_of
from recsys.testing.published import publish_models
from serving.erased import Erased
from serving.http.running import Running

SECRET = "s" * 64


def tombstones(*customers: str, known: int = 0, secret: str = SECRET) -> Tombstones:
    """A reading in which these are erased."""
    return Tombstones(secret, {subject_of(each, secret): 2_000_000_000 for each in customers}, known or len(customers))


def keep(path, *customers: str, **named) -> None:
    """What a worker that read this leaves beside the data."""
    found = tombstones(*customers, **named)
    path.write_text(json.dumps({"secret": found.secret, "instants": found.instants, "known": found.known}))


def no_store():
    """A database that is lost."""
    raise StoreUnavailable("gone")


@pytest.fixture
def kept(tmp_path):
    """Where tombstones are kept; none are yet."""
    return tmp_path / "erased.json"


@pytest.fixture
def begun(kept):
    """Begins one that never reached the database, after these were erased."""

    def begin(*customers: str, **named) -> Erased:
        keep(kept, *customers, **named)
        erased = Erased(no_store, kept)
        erased.away = lambda: True
        return erased

    return begin


def hidden(erased: Erased) -> list[str]:
    """Those of three customers who count as erased."""
    return [each for each in ("ann", "bob", "eve") if erased(each) is not None]


def test_an_erasure_another_worker_read_counts_without_the_database(begun, kept):
    """What is kept is read again at every look of an outage."""
    erased = begun("ann")
    before = hidden(erased)
    keep(kept, "ann", "eve")
    erased.refresh()
    assert (before, hidden(erased), erased.known) == (["ann"], ["ann", "eve"], 2)


def test_the_first_answer_of_an_outage_does_not_wait_for_a_look(begun, kept):
    """An erasure read by another worker since the last look is found by the answer itself."""
    erased = begun("ann")
    keep(kept, "ann", "eve")
    assert hidden(erased) == ["ann", "eve"]


def test_what_another_worker_read_of_erasures_is_told(kept):
    """What was remembered of a customer erased goes, as after a reading of this worker's own."""
    told = []
    erased = Erased(no_store, kept, told.append)
    keep(kept, "eve")
    erased.reload()
    assert told == [tombstones("eve")]


@pytest.mark.parametrize("secret", [SECRET, "t" * 64])
def test_a_restored_database_brings_nobody_back(kept, secret):
    """Its numbers begin again, perhaps under another secret: who is erased by the own or the kept reading is."""

    class Store:
        def tombstones(self):
            return tombstones("ann", "bob", known=9)

    erased = Erased(Store, kept)
    erased.refresh()
    erased.away = lambda: True
    keep(kept, "eve", known=1, secret=secret)
    erased.refresh()
    assert (hidden(erased), erased.known) == (["ann", "bob", "eve"], 1)


def test_a_file_that_cannot_be_read_takes_no_reading_away(begun, kept):
    """Torn or gone: what was read before counts."""
    erased = begun("ann")
    kept.write_text('{"secret": "s')
    erased.refresh()
    torn = hidden(erased)
    kept.unlink()
    erased.refresh()
    assert (torn, hidden(erased)) == (["ann"], ["ann"])


def test_everybody_is_hidden_only_until_something_is_kept(kept):
    """A process that never knew anything reads what another worker left."""
    erased = Erased(no_store, kept)
    before = hidden(erased)
    keep(kept, "ann")
    erased.reload()
    assert (before, hidden(erased)) == (["ann", "bob", "eve"], ["ann"])


def test_a_database_is_waited_for_once_before_there_is_a_service(kept):
    """A worker that opens something new before it answers asks a lost database once, not for every customer."""
    asked = []

    def store():
        asked.append(True)
        return no_store()

    keep(kept, "ann")
    erased = Erased(store, kept)
    assert (hidden(erased), len(asked)) == (["ann"], 1)


@pytest.fixture
def replaced(make_workspace, monkeypatch):
    """Opens a parent, lets time pass, and gives the state from which a worker forked afterwards begins to answer."""

    def replace(meanwhile):
        workspace = make_workspace()
        running = Running.open(Settings(workspace=workspace.directory, clock="snapshot", workers=2))
        meanwhile(workspace)
        monkeypatch.setattr(Running, "_answer", lambda *_: None)
        running._answer_forked(None)
        return running.state

    return replace


def test_a_worker_that_replaces_another_knows_who_was_erased_since_the_start(replaced):
    """The database may be lost by then; what the other workers read is beside the data."""
    state = replaced(lambda workspace: keep(workspace.directory / "erased.json", "ann"))
    state.erased.away = lambda: True
    state.erased._looked = True  # no answer need look
    assert hidden(state.erased) == ["ann"]


def test_a_worker_that_replaces_another_answers_from_what_is_published_now(replaced, newer_import):
    """Its first answer comes from the snapshot and the champion of this hour, not of the service's start."""
    made = []

    def meanwhile(workspace):
        made.append(newer_import(workspace))
        publish_models(workspace.directory, ["churn"], version="2", seed=9)

    loaded = replaced(meanwhile).current()
    assert (loaded.snapshot.snapshot_id, loaded.versions["churn"][:2]) == (made[0], "2-")


def test_a_worker_that_begins_with_the_service_opens_nothing_anew(replaced):
    """Where no pointer changed the forked state is the parent's, shared."""
    assert replaced(lambda _: None).swaps["loaded"] == 1
