"""A customer erased is gone from every path, stays gone, and may ask for everything before."""

import json
import signal

import pytest

from recsys.data.erasing import without_erased
from recsys.data.merging import Base
from recsys.store import AnswerStore, Database, ErasureStore, Event, EventStore
from recsys.store.idempotency import Kept
from recsys.store.tombstones import subject_of
from recsys.testing import builders
from tests.serving.test_processes import CLIENT, serving

STRANGER = "a stranger"


def without(answer: dict, *names: str) -> dict:
    """An answer but for what differs between any two."""
    return {name: value for name, value in answer.items() if name not in {"customer_id", "decision_id", *names}}


@pytest.fixture
def erased(service, purchase):
    """A service that forgot ann, who bought twice since the import, and the receipt."""
    service.report(purchase("e1"), purchase("e2"), purchase("e3", "bob"))
    service.offers(customer_id="ann")
    return service, service.http.delete("/v1/customers/ann").json()


def test_an_erased_customer_is_answered_as_a_stranger(erased):
    """Offers and scores say nothing of what was bought."""
    service, _ = erased
    assert without(service.scores("ann")) == without(service.scores(STRANGER))
    assert without(service.offers(customer_id="ann")) == without(service.offers(customer_id=STRANGER))


def test_a_decision_that_guessed_who_is_erased_names_nobody(service, monkeypatch):
    """The worker read newer orders after an erasure, and then had to go by a reading of before it."""
    erased = service.state.erased
    monkeypatch.setattr(erased, "refresh", lambda: None)
    service.workspace.erasures().erase("ann", service.workspace.current_snapshot().as_of)
    monkeypatch.setattr(erased, "away", lambda: True)
    found = service.workspace.decisions().find(service.offers(customer_id="ann")["decision_id"])
    assert found.customer_id.startswith("erased:")


def test_an_erased_customer_is_not_found(erased):
    """Facts and export are 404, the finder passes over."""
    service, _ = erased
    paths = ("/v1/customers/ann", "/v1/customers/ann/export")
    assert [service.http.get(path).status_code for path in paths] == [404, 404]
    found = service.http.get("/v1/customers", params={"search": "an"}).json()["customers"]
    assert [each["customer_id"] for each in found] == ["anton"]


def test_the_receipt_counts_and_names_nobody(erased):
    """Two events, one decision; no id in it."""
    _, receipt = erased
    assert (receipt["events"], receipt["decisions"], "ann" in json.dumps(receipt)) == (2, 1, False)


def test_others_are_left_alone(erased):
    """Only one customer goes."""
    service, _ = erased
    assert service.http.get("/v1/customers/bob").json()["orders"] == 3


def test_no_table_holds_the_id_any_more(erased):
    """The decision names a pseudonym; no byte of the id is in a value of any table."""
    service, receipt = erased
    database, held = service.workspace.database(), []
    tables = [row[0] for row in database.fetch("SELECT name FROM sqlite_master WHERE type = 'table'", ())]
    for table in tables:
        for row in database.fetch(f'SELECT * FROM "{table}"', ()):
            held += [table for value in row if "ann" in str(value)]
    named = database.fetch("SELECT customer_id FROM decisions", ())
    assert (held, named) == ([], [(f"erased:{receipt['receipt_id']}",)])


def test_what_happened_before_does_not_come_back(erased, purchase):
    """An old event sent again is told to be erased and not kept."""
    service, _ = erased
    answer = service.report(purchase("e1"), purchase("late", occurred_at="2024-03-01T08:00:00+01:00")).json()
    assert [each["outcome"] for each in answer["outcomes"]] == ["erased", "erased"]
    assert service.http.get("/v1/customers/ann").status_code == 404


def test_an_unknown_customer_gets_a_receipt_too(service):
    """Asking to be forgotten tells nobody whether there was anything."""
    answer = service.http.delete("/v1/customers/nobody")
    assert (answer.status_code, sorted(answer.json())) == (
        200,
        ["answers", "decisions", "erased_at", "events", "receipt_id", "remains", "requested_at"],
    )


def test_a_whole_base_run_leaves_the_erased_out(erased, tmp_path):
    """The next published files have no row of them."""
    import pyarrow.parquet as pq

    from serving.batch.base import score_base

    service, _ = erased
    score_base(service.workspace, tmp_path / "out")
    held = {
        pq.read_table(path)["customer_id"].to_pylist().count("ann") for path in (tmp_path / "out").glob("*.parquet")
    }
    assert held == {0}


def test_kept_answers_about_the_customer_go(service, purchase):
    """A repeated request is no longer answered from what was kept of them."""
    for name, customer in (("a", "ann"), ("b", "bob")):
        body = {"events": [purchase(name, customer)]}
        service.http.post("/v1/events", json=body, headers={"Idempotency-Key": name})
    receipt = service.http.delete("/v1/customers/ann").json()
    left = service.workspace.database().fetch("SELECT idempotency_key FROM idempotent_answers", ())
    assert (receipt["answers"], left) == (1, [("b",)])


def test_another_worker_forgets_at_once(make_workspace, serve):
    """An erasure acknowledged by one service counts in the next answer of every other on the same database."""
    workspace = make_workspace(refresh_seconds=3_600)
    one, other = serve(workspace), serve(make_workspace(refresh_seconds=3_600))
    assert other.http.get("/v1/customers/ann").status_code == 200
    one.http.delete("/v1/customers/ann")
    assert other.http.get("/v1/customers/ann").status_code == 404


def test_the_export_holds_everything(service, purchase):
    """All orders, events with their lines, decisions and scores of one customer and of nobody else."""
    service.report(purchase("e1", occurred_at="2024-03-12T10:00:00+01:00"), purchase("e9", "bob"))
    decision = service.offers(customer_id="ann")["decision_id"]
    export = service.http.get("/v1/customers/ann/export").json()
    assert len(export["orders"]) == 4
    assert [(each["event_id"], each["lines"][0]["amount"]) for each in export["events"]] == [("e1", 2.10)]
    assert [each["decision_id"] for each in export["decisions"]] == [decision]
    assert without(export["scores"]) == without(service.scores("ann", reasons="true"))


def test_a_later_order_makes_the_customer_anew():
    """Orders up to the erasure go with the customer's attributes; those after it stay."""
    lines = ("ann tea 2024-03-01T08:00 1x2.10 order=o1", "ann tea 2024-03-20T08:00 1x2.10 order=o2")
    snapshot = builders.snapshot(*lines, "bob tea 2024-03-02T08:00 1x2.10 order=o3", timezone="UTC")
    at = int(snapshot.history.order_time[0])
    (after, gone), (kept, none) = (without_erased(Base(snapshot), erased) for erased in ({"ann": at}, {"eve": at}))
    assert (gone, list(after.snapshot.customers), after.snapshot.history.n_orders) == (1, ["ann", "bob"], 2)
    assert (none, kept.snapshot.snapshot_id) == (0, snapshot.snapshot_id)


def test_the_next_import_leaves_the_erased_out(tiny_workspace, tmp_path):
    """A file that still has the customer brings nothing back: no order, no attribute, no id in the snapshot."""
    from recsys.data.mapping_file import mapping_of
    from training.importing import import_into

    (tmp_path / "t.csv").write_text("who,at,what\ncanary,2024-03-01,tea\nbob,2024-03-02,tea\nbob,2024-03-03,scone\n")
    (tmp_path / "c.csv").write_text("who,city\ncanary,Rome\nbob,Oslo\n")
    columns = {"customer_id": "who", "occurred_at": "at", "product_id": "what"}
    mapping = mapping_of(
        {
            "transactions": {"file": "t.csv", "columns": columns},
            "customers": {"file": "c.csv", "columns": {"customer_id": "who"}, "attributes": {"city": "city"}},
        },
        tmp_path,
    )
    tiny_workspace.erasures().erase("canary", upto=2_000_000_000)
    imported = import_into(tiny_workspace, mapping)
    held = [
        path.name
        for path in imported.snapshot.directory.rglob("*")
        if path.is_file() and b"canary" in path.read_bytes()
    ]
    assert (held, list(imported.snapshot.customers), imported.report.merged["orders_erased"]) == ([], ["bob"], 1)


@pytest.fixture
def store(database_address):
    """Events, kept answers and erasures on each kind of database."""
    database = Database.open(database_address)
    EventStore(database).append([Event("e1", "ann", "purchase", 5), Event("e2", "bob", "view", 5)])
    answers = AnswerStore(database)
    answers.begin("o", "k", "f")
    answers.finish("o", "k", Kept(200, "application/json", b"{}"), ["ann", "bob"])
    return database


def test_a_decision_computed_before_an_erasure_and_dated_after_it_names_nobody(service, monkeypatch):
    """The erasure comes while offers are computed, and the clock goes on before they are recorded."""
    from serving.http import service as module

    def late(*arguments, **named):
        service.workspace.erasures().erase("ann", service.workspace.current_snapshot().as_of, now=5)
        return content_of(*arguments, **named)

    content_of = module.content_of
    monkeypatch.setattr(module, "content_of", late)
    found = service.workspace.decisions().find(service.offers(customer_id="ann")["decision_id"])
    assert found.customer_id.startswith("erased:")


def test_erasing_twice_finds_nothing_the_second_time(store):
    """The tombstone keeps the later instant, each receipt its own counts."""
    erasures = ErasureStore(store)
    receipts = [erasures.erase("ann", upto) for upto in (10, 20)]
    assert [(each.events, each.answers) for each in receipts] == [(1, 1), (0, 0)]
    assert (erasures.erased_at("ann"), erasures.erased_at("bob")) == (20, None)


def test_one_read_tells_newer_orders_and_the_erasure(store):
    """Before the first erasure nobody has a subject; after it the one read says until when who has one is gone."""
    events, erasures = EventStore(store), ErasureStore(store)
    before = events.tail_and_erasure("ann", "")[1:], erasures.subject("ann")
    ErasureStore(store).erase("ann", upto=20)
    heard = events.tail_and_erasure("ann", "")[1]
    erasures.erased_at("ann")
    tail, *after = events.tail_and_erasure("ann", erasures.subject("ann"))
    bob = events.tail_and_erasure("bob", erasures.subject("bob"))[1:]
    assert (before, heard, len(tail.orders), after, bob) == (((False, None), None), True, 0, [True, 20], (True, None))


def test_tombstones_hold_digests_under_a_secret_of_their_own(store, tmp_path):
    """Nobody reads an id from them, and two databases know one customer by different digests."""
    erasures = ErasureStore(store)
    erasures.erase("ann", 10)
    other = ErasureStore(Database.open(tmp_path / "other.db"))
    other.erase("ann", 10)
    found, others = erasures.tombstones(), other.tombstones()
    assert (found.erased_at("ann"), found.erased_at("bob"), "ann" in repr(found)) == (10, None, False)
    assert set(found.instants).isdisjoint(others.instants)
    assert set(found.instants) == {subject_of("ann", found.secret)}


def test_an_erasure_under_a_clock_set_back_covers_all_it_removed(store):
    """Events that lie after `upto` by the wrong clock do not come back when they are sent again."""
    events = EventStore(store)
    events.append([Event("ahead", "ann", "purchase", 50)])
    ErasureStore(store).erase("ann", upto=10)
    assert events.append([Event("ahead", "ann", "purchase", 50)]) == ["erased"]


def test_events_after_the_erasure_are_a_new_acquaintance(store):
    """Only what happened up to the erasure is kept out."""
    ErasureStore(store).erase("ann", upto=10)
    events = EventStore(store)
    assert events.append([Event("o", "ann", "purchase", 10), Event("n", "ann", "purchase", 11)]) == [
        "erased",
        "accepted",
    ]


def test_an_erasure_that_fails_half_way_did_nothing(store, monkeypatch):
    """All tables or none: a failure before the end leaves every row where it was."""
    from recsys.store import erasure

    monkeypatch.setattr(erasure, "forget_customer", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ErasureStore(store).erase("ann", 10)
    assert (EventStore(store).count(), ErasureStore(store).erased_at("ann")) == (2, None)


def test_an_acknowledged_erasure_survives_kill_9(make_workspace, purchase):
    """Killed right after its answer left, the service knows nothing of the customer when it comes back."""
    workspace = make_workspace()
    with serving(workspace) as (process, address):
        CLIENT.post(f"{address}/v1/events", json={"events": [purchase()]})
        acknowledged = CLIENT.delete(f"{address}/v1/customers/ann").status_code
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    with serving(workspace) as (_, address):
        again = CLIENT.get(f"{address}/v1/customers/ann").status_code
        repeated = CLIENT.post(f"{address}/v1/events", json={"events": [purchase()]}).json()["outcomes"][0]["outcome"]
    assert (acknowledged, again, repeated) == (200, 404, "erased")
