"""A disk without space: writes are refused at once, reads go on, nothing acknowledged is lost, it heals by itself."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from recsys.store import Journal
from recsys.workspace import replay_decision
from tests.faults.disks import small_disk
from tests.faults.postgres_disks import all_on, tables_on
from tests.serving.test_state import wait_for
from tests.store.test_decisions import decision


@pytest.fixture
def disk(tmp_path):
    """A disk of four megabytes."""
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def stored(make_workspace, serve, disk):
    """A service whose database lies on the small disk, its journal elsewhere."""
    return serve(make_workspace(database_url=f"sqlite:///{disk.directory}/barista.db"))


@pytest.fixture
def crowded(make_workspace, serve, disk):
    """A service whose database and journal share the small disk."""
    workspace = make_workspace(database_url=f"sqlite:///{disk.directory}/barista.db")
    (disk.directory / "journal").mkdir()
    (workspace.directory / "journal").symlink_to(disk.directory / "journal")
    return serve(workspace)


def reported(service, purchase, prefix, most=200):
    """Ids of the purchases acknowledged until one is refused, and that refusal."""
    kept = []
    for number in range(most):
        answer = service.report(purchase(f"{prefix}{number}"))
        if answer.status_code != 200:
            return kept, answer
        kept.append(f"{prefix}{number}")
    raise AssertionError("nothing was refused")


def test_events_are_refused_until_there_is_space(stored, disk, purchase):
    """507 with Retry-After and readiness degraded; afterwards the same event is kept, and none acknowledged is gone."""
    kept, _ = (["e"], stored.report(purchase("e")))
    disk.fill()
    more, refused = reported(stored, purchase, "full")
    assert (refused.status_code, refused.headers["retry-after"]) == (507, "1")
    assert refused.json()["type"] == "urn:barista:problem:store-full"
    assert stored.http.get("/health/ready").json()["status"] == "degraded"
    disk.free()
    again = f"full{len(more)}"
    assert wait_for(lambda: stored.report(purchase(again)).status_code == 200)
    assert set(stored.workspace.events().instants_of([*kept, *more, again])) == {*kept, *more, again}


def test_reads_go_on_fresh_and_offers_are_kept_in_the_journal(stored, disk, purchase):
    """A full disk can be read: the purchase counts; the decision waits in the journal, then is in the store."""
    stored.report(purchase())
    disk.fill()
    reported(stored, purchase, "full")
    answer = next(each for each in (stored.offers() for _ in range(500)) if stored.workspace.journal().waiting())
    assert (answer["recorded"], answer["stale"], stored.scores()["stale"]) == (True, False, False)
    disk.free()
    assert wait_for(lambda: stored.workspace.journal().waiting() == [])
    assert replay_decision(stored.workspace, answer["decision_id"]).same


def test_with_both_full_an_answer_says_it_is_not_recorded(crowded, disk, purchase):
    """Offers leave with `recorded: false`; with space they are recorded again, and each that said so is there."""
    disk.fill()
    reported(crowded, purchase, "full")
    answers = [crowded.offers() for _ in range(60)]
    assert answers[-1]["recorded"] is False
    disk.free()
    assert wait_for(lambda: crowded.offers()["recorded"])
    assert wait_for(lambda: crowded.workspace.journal().waiting() == [])
    recorded = [each["decision_id"] for each in answers if each["recorded"]]
    assert [each for each in recorded if crowded.workspace.decisions().find(each) is None] == []


def test_an_erasure_without_space_erases_nothing_and_says_so(stored, disk, purchase):
    """507; with space the same request forgets the customer."""
    stored.report(purchase())
    disk.fill()
    reported(stored, purchase, "full")
    assert stored.http.delete("/v1/customers/ann").status_code == 507
    assert stored.http.get("/v1/customers/ann").status_code == 200
    disk.free()
    assert stored.http.delete("/v1/customers/ann").status_code == 200


def test_a_key_used_on_a_full_disk_is_free_as_soon_as_there_is_space(stored, disk, purchase):
    """Whatever step of a write found no space, a repetition under its Idempotency-Key is not told to wait."""
    disk.fill()
    seen = []
    for number in range(200):
        headers = {"Idempotency-Key": f"k{number}"}
        answer = stored.http.post("/v1/events", json={"events": [purchase(f"e{number}")]}, headers=headers)
        seen.append((headers, number, answer.status_code))
        if sum(status == 507 for *_, status in seen) == 3:
            break
    disk.free()
    refused = [(headers, number) for headers, number, status in seen if status != 200]
    again = [
        stored.http.post("/v1/events", json={"events": [purchase(f"e{number}")]}, headers=headers).status_code
        for headers, number in refused
    ]
    assert again == [200] * 3


def test_a_journal_on_a_full_disk_keeps_no_half_lines(disk):
    """What found no space is taken back, in one file; what was kept before is whole."""
    journal, kept = Journal(disk.directory / "journal"), []
    journal.append([decision(0)])
    disk.fill()
    for number in range(1, 100):
        try:
            journal.append([decision(number)])
            kept.append(number)
        except OSError:
            continue
    journal.release()
    (path,) = journal.waiting()
    with journal.claimed(path) as records:
        found = [record.decision_id for record in records]
    assert (found, len(kept) < 99) == ([decision(number).decision_id for number in (0, *kept)], True)


def test_a_journal_goes_on_in_its_file_when_there_is_space(disk):
    """The decision after the full disk stands behind the one before it."""
    journal = Journal(disk.directory / "journal")
    journal.append([decision(1)])
    disk.fill()
    with pytest.raises(OSError, match="space"):
        journal.append([decision(number) for number in range(100)])
    disk.free()
    journal.append([decision(2)])
    assert [journal.find(decision(number).decision_id) is not None for number in (1, 2, 50)] == [True, True, False]


def test_without_space_offers_under_a_key_are_made_anew(stored, disk, purchase):
    """What has to be kept under a key is 507, offers go to the journal; with space the key counts again."""
    disk.fill()
    reported(stored, purchase, "full")
    key = {"Idempotency-Key": "one"}

    def offers():
        return stored.http.post("/v1/recommendations", json={"customer_id": "ann"}, headers=key)

    seen = [offers() for _ in range(200)]
    assert ({each.status_code for each in seen}, seen[-1].json()["recorded"]) == ({200}, True)
    disk.free()
    assert wait_for(lambda: "idempotency-replayed" in offers().headers)


SMALL = {"tables": (tables_on, 48, {507}), "server": (all_on, 256, {503, 507})}
"""What of a Postgres lies on the small disk, how large that has to be [MB], and what refuses writes when it is full."""


@pytest.fixture(params=SMALL)
def on_postgres(request, make_workspace, serve):
    """A service whose Postgres has its tables, or all it has, on a small disk; the disk, and how writes are refused."""
    on, megabytes, refusals = SMALL[request.param]
    with (
        TemporaryDirectory() as place,  # not the test's own, which the server's user may not enter
        small_disk(Path(place) / "disk", megabytes) as disk,
        on(disk) as address,
    ):
        yield serve(make_workspace(database_url=address)), disk, refusals
        disk.free()


def test_a_full_disk_of_postgres_refuses_writes_until_there_is_space(on_postgres, purchase):
    """507, or 503 when the server fell; reads go on, and with space all that was acknowledged is there."""
    service, disk, refusals = on_postgres
    service.report(purchase("e"))
    disk.fill()
    more, refused = reported(service, purchase, "full", 5_000)
    assert (refused.status_code in refusals, refused.headers["retry-after"]) == (True, "1")
    assert (service.offers()["recorded"], service.scores()["customer_id"]) == (True, "ann")
    disk.free()
    again = f"full{len(more)}"
    assert wait_for(lambda: service.report(purchase(again)).status_code == 200)
    assert set(service.workspace.events().instants_of(["e", *more, again])) == {"e", *more, again}
