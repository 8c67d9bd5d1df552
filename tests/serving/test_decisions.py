"""Every offer is a recorded decision: kept before it leaves, found by its id, computed again bit for bit."""

import json
import os
import shutil
import time
from contextlib import ExitStack

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.errors import StoreUnavailable
from recsys.models.bundle import write_bundle
from recsys.registry import Registry, RunRecord
from recsys.store import Database, DecisionStore
from recsys.workspace import replay_decision
from serving import outage
from tests.faults.bad_bundles import ranker_content
from tests.serving.conftest import NEWER, import_purchases, purchase, reopened, start
from tests.serving.test_state import wait_for

ASKED = {
    "n": 2,
    "mode": "mixed",
    "exclude": ["latte"],
    "basket": [{"product_id": "muffin", "quantity": 2.0, "amount": 5.2, "discount": 0.3}],
    "context": {"store_id": None, "groups": ["FOOD", "DRINKS"]},
    "reasons": True,
    "language": "uk",
    "novelty": {"level": "family", "look_back_days": 60},
    "attributes": {},
}

LAPSED = {"mode": "new", "novelty": {"level": "item", "look_back_days": 3}}


def decision(service, decision_id):
    """The recorded decision."""
    answer = service.http.get(f"/v1/decisions/{decision_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def replayed(workspace, decision_id, *options):
    """What `barista replay` exits with and prints."""
    arguments = ["--workspace", str(workspace.directory), "replay", decision_id, *options]
    done = CliRunner().invoke(build_app(), arguments)
    return done.exit_code, done.output or str(done.exception)


def changed(workspace, decision_id, *replacement):
    """Change a text in the recorded content."""
    database = Database.open(workspace.directory / "barista.db")
    with database.writing() as connection:
        values = {"id": decision_id, "old": replacement[0], "new": replacement[1]}
        statement = "UPDATE decisions SET content = replace(content, :old, :new) WHERE decision_id = :id"
        connection.execute(text(statement), values)
    database.close()


def in_journal(workspace, decision_id):
    """Move a decision from the database into a journal, which nobody uploads while it is held; journal and decision."""
    record, waiting = workspace.decisions().find(decision_id), workspace.journal()
    workspace.database().run("DELETE FROM decisions WHERE decision_id = ?", (decision_id,))
    waiting.append([record])
    return waiting, record


def test_an_answer_is_recorded_and_found_by_its_id(shared):
    """What the answer said is what the record holds."""
    answer = shared.offers(**ASKED)
    found = decision(shared, answer["decision_id"])
    assert answer["recorded"] is True
    assert (found["offers"], found["as_of"], found["asked"]) == (answer["offers"], answer["as_of"], ASKED)


def test_the_record_holds_everything_that_was_ranked(shared):
    """All candidates with their scores, best first, the returned ones in front."""
    answer = shared.offers(n=2)
    candidates = decision(shared, answer["decision_id"])["candidates"]
    assert len(candidates) == answer["candidates"]
    assert [each["raw"] for each in candidates] == sorted((each["raw"] for each in candidates), reverse=True)
    assert [each["item_id"] for each in candidates[:2]] == [offer["item_id"] for offer in answer["offers"]]


def test_the_record_names_what_it_was_computed_from(service, purchase):
    """Snapshot, models by digest and features, the newest event, the seed."""
    service.report(purchase("v1", "bob"), purchase("e1"), purchase("e2", occurred_at="2024-03-05T09:00:00+01:00"))
    found = decision(service, service.offers()["decision_id"])
    digest = {model["name"]: model["digest"] for model in service.http.get("/v1/models").json()["models"]}
    assert (found["events"], found["last_sequence"], found["snapshot_id"]) == (2, 3, service.workspace.snapshot_id())
    assert {name: mark["digest"] for name, mark in found["models"].items()} == digest
    assert (len(found["models"]["offers"]["features"]), found["seed"]) == (64, service.workspace.settings.seed)


def test_two_answers_are_two_decisions(shared):
    """Ids are never given twice."""
    assert shared.offers()["decision_id"] != shared.offers()["decision_id"]


def test_an_unknown_decision_is_a_404(shared):
    """It says so as a problem."""
    answer = shared.http.get("/v1/decisions/0160af1c63d85f3a9b0c77de21c4a8f6")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:barista:problem:unknown-decision")


ASKS = ({}, ASKED, {"customer_id": "stranger", "n": 3}, {"mode": "new", "reasons": True}, LAPSED)


def promote(registry, workspace, seed):
    """Publish a ranker of random trees, make it the champion and bring it into the cache; its version."""
    bundle = workspace.directory / "made" / str(seed)
    write_bundle(bundle, ranker_content(seed))
    version = registry.publish("offers", bundle, RunRecord(), workspace.current_snapshot())
    registry.promote("offers", version)
    registry.pull(workspace.bundles)
    return version


@pytest.fixture(scope="module")
def gone_on(template, tmp_path_factory):
    """A workspace in which all that answers changed since, and the answers of trees to each of `ASKS` before."""
    place = tmp_path_factory.mktemp("gone_on") / "workspace"
    shutil.copytree(template, place)
    shutil.rmtree(place / "bundles" / "offers")
    workspace = reopened(place)
    registry = Registry(workspace.settings)
    first = promote(registry, workspace, 1)
    with ExitStack() as services:
        service = start(services, workspace, {})
        service.report(purchase())
        before = [service.offers(**asked) for asked in ASKS]
        service.report(purchase("later", product="scone"))
        snapshot_id, second = import_purchases(workspace, NEWER), promote(registry, workspace, 2)
        assert {answer["model_version"].partition("-")[0] for answer in before} == {str(first)}
        assert wait_for(lambda: came_from(service.offers()) == (snapshot_id, str(second)))
        assert {answer["snapshot_id"] for answer in before}.isdisjoint({snapshot_id})
        known = [(asked, old) for asked, old in zip(ASKS, before, strict=True) if "customer_id" not in asked]
        assert all(service.offers(**asked)["offers"] != old["offers"] for asked, old in known)
    return workspace, before


def came_from(answer):
    """Snapshot and version of the model of offers."""
    return answer["snapshot_id"], answer["model_version"].partition("-")[0]


@pytest.mark.parametrize("number", range(len(ASKS)))
def test_a_replay_gives_the_same_bits(gone_on, number):
    """Although newer events, another snapshot and another promoted champion, trees like the first, came after."""
    workspace, answers = gone_on
    assert replayed(workspace, answers[number]["decision_id"])[0] == 0


def test_a_record_from_before_novelty_could_be_asked_is_replayed(service):
    """It means what it meant: an item never bought."""
    answer = service.offers(mode="new")
    changed(service.workspace, answer["decision_id"], ',"novelty":{"level":"item","look_back_days":null}', "")
    kept = service.workspace.decisions().find(answer["decision_id"])
    assert b"look_back_days" not in bytes(kept.content)
    assert decision(service, answer["decision_id"])["asked"]["novelty"] == {"level": "item", "look_back_days": None}
    assert replay_decision(service.workspace, answer["decision_id"]).same


def test_a_replay_uses_the_snapshot_of_the_decision(service, newer_import):
    """The workspace went on to a newer one in which the customer has another purchase."""
    before = service.offers(customer_id="bob")
    newer_import(service.workspace)
    assert wait_for(lambda: service.offers(customer_id="bob")["snapshot_id"] != before["snapshot_id"])
    assert replay_decision(service.workspace, before["decision_id"]).same


def test_a_replay_finds_a_changed_bit(service):
    """A record that was tampered with is told with the place and both values."""
    answer = service.offers()
    raw = repr(answer["offers"][0]["raw"])
    changed(service.workspace, answer["decision_id"], raw, raw[:-1] + ("1" if raw[-1] != "1" else "2"))
    code, said = replayed(service.workspace, answer["decision_id"], "--json")
    assert (code, json.loads(said)["same"]) == (1, False)
    assert {each["pointer"] for each in json.loads(said)["differences"]} == {"/candidates/raw/0", "/offers/0/raw"}


def test_a_replay_without_its_snapshot_says_why(service, newer_import):
    """Later than 35 days the snapshot is gone."""
    answer = service.offers()
    newer_import(service.workspace)
    shutil.rmtree(service.workspace.snapshots / answer["snapshot_id"])
    code, said = replayed(service.workspace, answer["decision_id"])
    assert (code, "snapshot this decision was made from is gone" in said) == (1, True)


def test_a_replay_without_its_events_says_why(service, purchase):
    """A customer whose events were deleted can't be computed again."""
    service.report(purchase())
    decision_id = service.offers()["decision_id"]
    service.workspace.database().run("DELETE FROM events WHERE customer_id = ?", ("ann",))
    assert "Events this decision was computed from are gone" in replayed(service.workspace, decision_id)[1]


def erase(workspace, customer, at):
    """Erase what the snapshot holds of a customer, at an instant [s] of the machine's clock."""
    workspace.erasures().erase(customer, workspace.current_snapshot().as_of, now=at)


def test_a_decision_made_before_an_erasure_says_why_it_is_not_replayed(service):
    """The erased person's items are not computed again."""
    decision_id = service.offers()["decision_id"]
    erase(service.workspace, "ann", int(time.time()))
    assert "customer of this decision was erased" in replayed(service.workspace, decision_id)[1]


@pytest.mark.parametrize("seconds", [(1,), (9, 5), (5, 5)])
def test_a_decision_made_after_erasures_is_replayed_without_the_person(make_workspace, serve, purchase, seconds):
    """The snapshot still holds the old orders; neither the answer nor its replay knows them, only newer ones."""
    service = serve(make_workspace(clock="2024-03-13T12:00:00+01:00"))
    for ago in seconds:
        erase(service.workspace, "ann", int(time.time()) - ago)
    answer = service.offers(reasons=True)
    assert service.report(purchase(occurred_at="2024-03-13T09:00:00+01:00")).json()["accepted"] == 1
    later = service.offers(reasons=True)
    same = [replay_decision(service.workspace, each["decision_id"]).same for each in (answer, later)]
    assert (answer["evidence"], same) == ("low", [True, True])


def test_a_decision_between_two_erasures_says_why_it_is_not_replayed(service):
    """The second erasure is of what came after the first."""
    erase(service.workspace, "ann", int(time.time()) - 5)
    decision_id = service.offers()["decision_id"]
    erase(service.workspace, "ann", int(time.time()))
    assert "customer of this decision was erased" in replayed(service.workspace, decision_id)[1]


@pytest.mark.parametrize("later", [0, 1])
def test_a_decision_in_a_journal_is_not_replayed_for_who_was_erased_since(service, later):
    """It names the customer until its upload; within the second of the erasure it counts as made before."""
    waiting, record = in_journal(service.workspace, service.offers()["decision_id"])
    erase(service.workspace, "ann", record.decided_at + later)
    assert waiting.find(record.decision_id).customer_id == "ann"
    assert "customer of this decision was erased" in replayed(service.workspace, record.decision_id)[1]


def test_a_decision_in_a_journal_does_not_name_who_was_erased_since(service):
    """It is told as the database will have it after its upload."""
    _, record = in_journal(service.workspace, service.offers()["decision_id"])
    erase(service.workspace, "ann", record.decided_at)
    ((receipt_id,),) = service.workspace.database().fetch("SELECT receipt_id FROM erasures", ())
    assert decision(service, record.decision_id)["customer_id"] == f"erased:{receipt_id}"


def test_a_journal_that_cannot_be_read_is_no_defect_of_the_service(service):
    """Nobody knows whether the decision waits there: to be asked again, and no 404."""
    _, record = in_journal(service.workspace, service.offers()["decision_id"])
    (service.workspace.directory / "journal" / "0.jsonl").mkdir()
    answer = service.http.get(f"/v1/decisions/{record.decision_id}")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_a_decision_in_the_database_and_in_a_journal_is_that_of_the_database(service):
    """While a long journal is uploaded its first part is in both, and an erasure finds the rows alone."""
    decision_id = service.offers()["decision_id"]
    record, waiting = service.workspace.decisions().find(decision_id), service.workspace.journal()
    waiting.append([record])
    changed(service.workspace, decision_id, '"seed":', '"seed":1')
    assert decision(service, decision_id)["seed"] != record.read().seed


@pytest.mark.parametrize(("erased", "named"), [("ann", "erased:"), ("bob", "ann")])
def test_without_the_database_a_decision_names_nobody_who_was_known_to_be_erased(service, monkeypatch, erased, named):
    """The tombstones read last say who it was; the receipt is not in them."""
    monkeypatch.setattr(outage, "PAUSE", 60.0)
    _, record = in_journal(service.workspace, service.offers()["decision_id"])
    erase(service.workspace, erased, record.decided_at)
    assert wait_for(lambda: service.state.erased.known == 1)
    service.state.erased.lost(StoreUnavailable("lost"))
    assert decision(service, record.decision_id)["customer_id"] == named


def test_a_decision_uploaded_while_it_is_looked_for_is_found(service, monkeypatch):
    """Neither in the database when that was asked nor in a journal any more: the database is asked once more."""
    decision_id = service.offers()["decision_id"]
    find, looks = DecisionStore.find, []

    def late(store, each):
        looks.append(each)
        return find(store, each) if len(looks) > 1 else None

    monkeypatch.setattr(DecisionStore, "find", late)
    assert decision(service, decision_id)["decision_id"] == decision_id


def test_a_replay_with_another_bundle_says_why(service):
    """A version number that was given to another content is not mistaken for it."""
    decision_id = service.offers()["decision_id"]
    changed(service.workspace, decision_id, '"digest":"', '"digest":"0')
    assert "another one now" in replayed(service.workspace, decision_id)[1]


@pytest.mark.parametrize("kept", ["database", "journal"])
def test_a_snapshot_stays_while_a_young_decision_needs_it(service, newer_import, kept):
    """35 days after the last decision, not after the next import; one that waits in a journal needs it as well."""
    answer = service.offers()
    old = answer["snapshot_id"]
    newer_import(service.workspace)
    if kept == "journal":
        waiting, _ = in_journal(service.workspace, answer["decision_id"])
        assert len(waiting.waiting()) == 1
    os.utime(service.workspace.snapshots / old, (0, 0))  # out of use for long, but for the decision
    now = int(time.time())
    assert old not in service.workspace.prune_snapshots(now + 34 * 86_400)
    assert old in service.workspace.prune_snapshots(now + 36 * 86_400)


def test_decisions_are_counted_by_where_they_were_kept(service):
    """Lost ones would be seen."""
    service.offers()
    assert 'barista_decisions_total{kept="store"} 1.0' in service.http.get("/metrics").text


def locked(workspace):
    """A database that another program holds locked, so that nothing can be written."""
    database = Database.open(workspace.directory / "barista.db")
    return database.writing()


@pytest.mark.usefixtures("impatient")
def test_with_the_store_out_of_reach_the_journal_keeps_the_decision(service):
    """It is found there by its id, and replayed."""
    with locked(service.workspace):
        answer = service.offers()
        assert answer["recorded"] is True
        assert decision(service, answer["decision_id"])["offers"] == answer["offers"]
        assert 'barista_decisions_total{kept="journal"} 1.0' in service.http.get("/metrics").text
        assert replay_decision(service.workspace, answer["decision_id"]).same


def test_a_decision_made_without_the_database_says_which_erasures_its_worker_knew(service, monkeypatch):
    """Those of its last reading: who was erased before that is a new acquaintance when the journal is uploaded."""
    erase(service.workspace, "ann", 5)
    assert wait_for(lambda: service.state.erased.known == 1)
    lost = StoreUnavailable("lost")
    monkeypatch.setattr(service.workspace.events(), "tail_with_looks", lambda *_: (_ for _ in ()).throw(lost))
    answer = service.offers()
    assert wait_for(lambda: service.workspace.decisions().find(answer["decision_id"]) is not None)
    found = service.workspace.decisions().find(answer["decision_id"])
    assert (answer["stale"], found.customer_id) == (True, "ann")


@pytest.mark.usefixtures("impatient")
def test_the_journal_is_uploaded_when_the_store_is_back(service):
    """Nothing stays in files, nothing is lost."""
    with locked(service.workspace):
        answer = service.offers()
    assert wait_for(lambda: service.workspace.decisions().find(answer["decision_id"]) is not None)
    assert wait_for(lambda: service.workspace.journal().waiting() == [])


def test_a_journal_left_by_a_killed_worker_is_uploaded_by_the_next(make_workspace, serve):
    """A crash between journal and upload costs nothing."""
    service = serve(make_workspace())
    answer = service.offers()
    record = service.workspace.decisions().find(answer["decision_id"])
    left = service.workspace.journal()
    database = Database.open(service.workspace.directory / "barista.db")
    with database.writing() as connection:
        connection.execute(text("DELETE FROM decisions"))
    left.append([record])
    left.release()
    assert wait_for(lambda: service.workspace.decisions().find(answer["decision_id"]) is not None)


@pytest.mark.usefixtures("impatient")
def test_a_decision_that_can_be_kept_nowhere_is_answered_and_says_so(service):
    """The till goes on; the answer is honest."""
    (service.workspace.directory / "journal").write_text("not a directory")
    with locked(service.workspace):
        answer = service.offers()
    assert (answer["recorded"], len(answer["offers"])) == (False, 5)


@pytest.mark.usefixtures("impatient")
def test_events_are_refused_while_they_can_not_be_kept(service, purchase):
    """503 with Retry-After, and the readiness probe says degraded; afterwards the same event is accepted."""
    with locked(service.workspace):
        answer = service.report(purchase())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert service.http.get("/health/ready").json()["status"] == "degraded"
    assert wait_for(lambda: service.report(purchase()).status_code == 200)


def test_the_newer_purchase_of_these_tests_is_another_customers():
    """`newer_import` changes bob alone, so ann's answers may be compared across it."""
    assert NEWER.startswith("bob")
