"""What a real Postgres says, or leaves unsaid, in an outage: no answer is a failure, none waits long, all heals."""

import time
from types import SimpleNamespace

import pytest

from recsys.errors import StoreUnavailable
from recsys.store import AnswerStore, ErasureStore, EventStore, KeyStore, events, idempotency
from recsys.store.patience import Patience
from serving import outage
from serving.http import asking
from serving.http.guards import Guards
from serving.http.keyring import Keyring
from serving.http.service import READING
from serving.outage import Outage
from tests.faults.outage_load import KINDS, READS, Told
from tests.faults.refusing import ERRORS, till_of
from tests.serving.test_state import wait_for


@pytest.fixture
def till(postgres):
    """A database of its own, whose address is that of a plain role."""
    with till_of(postgres) as till:
        yield till


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("error", ERRORS)
def test_no_error_of_postgres_is_one_of_the_service(make_workspace, serve, till, purchase, error):
    """Everything is done or refused by 503 with Retry-After; what was promised is there afterwards."""
    service, told = serve(make_workspace(database_url=till.address)), Told()
    service.report(purchase("export", "c0003"))
    told.ask("offers", service.http, "before")
    begin, end = ERRORS[error]
    till.run(begin)
    for turn in range(3):
        for kind in KINDS:
            told.ask(kind, service.http, f"{turn}-{kind}")
    till.run(end)
    assert wait_for(lambda: told.ask("report", service.http, "after").status == 200)
    assert [each for each in told.answers if not each.documented] == []
    found = service.workspace.events().instants_of(told.kept.events)
    assert set(told.kept.events) == set(found)
    decisions = service.workspace.decisions()
    assert wait_for(lambda: all(decisions.find(each) is not None for each in told.kept.decisions))


@pytest.mark.usefixtures("impatient")
def test_a_database_that_can_only_be_read_is_away(make_workspace, serve, till, purchase):
    """After one write found out the worker says degraded and asks no more, until it can be written again."""
    service = serve(make_workspace(database_url=till.address))
    till.run(ERRORS["read only"][0])
    refused = service.report(purchase())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    time.sleep(0.8)  # a probe is made meanwhile, and a read of it is answered
    assert service.http.get("/health/ready").json()["components"]["database"] == "degraded"
    till.run(ERRORS["read only"][1])
    assert wait_for(lambda: service.http.get("/health/ready").json()["components"]["database"] == "ok")
    assert service.report(purchase()).status_code == 200


def test_a_service_cut_off_in_a_transaction_does_not_lock_itself_out(proxied, purchase, monkeypatch):
    """The server never hears that the writer is gone; the lock it held is free again soon all the same."""
    service, proxy = proxied
    real = events._judge

    def cut_off(*arguments):
        proxy.set("hole")
        return real(*arguments)

    with monkeypatch.context() as once:
        once.setattr(events, "_judge", cut_off)
        assert service.report(purchase()).status_code == 503
    proxy.set("pass")
    assert wait_for(lambda: service.report(purchase()).status_code == 200)


def test_the_askings_of_one_request_share_its_time(make_workspace, serve, purchase, monkeypatch):
    """What a new key and the claim of an Idempotency-Key took is gone for the write: not asked, and no outage."""
    workspace = make_workspace()
    keys = KeyStore(workspace.database())
    keys.create("old", ["events"])
    service = serve(workspace)
    monkeypatch.setattr(Keyring, "refresh", lambda _ring: None)
    later, asked = [0.0], []
    monkeypatch.setattr(asking, "WITHIN", 60.0)
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + later[0]))

    def slow(kind, name, seconds):
        real = getattr(kind, name)

        def step(*arguments):
            asked.append(name)
            later[0] += seconds
            return real(*arguments)

        monkeypatch.setattr(kind, name, step)

    slow(KeyStore, "find", 40.0)
    slow(AnswerStore, "begin", 40.0)
    slow(EventStore, "append", 0.0)
    headers = {"Authorization": f"Bearer {keys.create('new', ['events'])[0]}", "Idempotency-Key": "one"}
    answer = service.http.post("/v1/events", json={"events": [purchase()]}, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"], asked) == (503, "1", ["find", "begin"])
    assert service.http.get("/health/ready").json()["status"] == "ok"


def test_the_reads_of_one_answer_share_a_part_of_the_patience(make_workspace, serve, monkeypatch):
    """Offers and scores are computed where all requests are: together their reads wait for half of it at most."""
    service, seen = serve(make_workspace(database_patience=20)), []
    for name in ("tail_with_looks", "tail_and_erasure"):
        real = getattr(EventStore, name)

        def read(*arguments, real=real):
            seen.append(Patience(20.0).ends() - time.monotonic())
            return real(*arguments)

        monkeypatch.setattr(EventStore, name, read)
    service.offers()
    service.scores()
    assert (len(seen), max(seen) <= 20.0 / READING) == (2, True)


def test_a_tombstone_that_can_not_be_read_begins_the_outage(service, monkeypatch):
    """Whoever finds out that the database is lost spares the next one the wait."""

    def lost(*_arguments):
        raise StoreUnavailable("away")

    monkeypatch.setattr(outage, "PAUSE", 60.0)
    service.http.delete("/v1/customers/bob")
    with monkeypatch.context() as away:
        away.setattr(ErasureStore, "erased_at", lost)
        service.offers()
    assert service.offers()["stale"] is True


def test_reads_go_on_whatever_happens(proxied):
    """Every kind that needs no database is answered in each of the faults, marked stale."""
    service, proxy = proxied
    told = Told()
    for fault in ("down", "stall", "hole"):
        proxy.set(fault)
        answers = [told.ask(kind, service.http, f"{fault}-{kind}") for kind in READS]
        assert {(each.status, each.stale) for each in answers} == {(200, True)}
        proxy.set("pass")
        assert wait_for(lambda: service.scores()["stale"] is False)


def test_a_key_claimed_in_vain_is_free_for_every_worker_when_the_outage_ends(
    proxied, make_workspace, serve, purchase, monkeypatch
):
    """The write under it failed after the claim; another worker need not wait for the first one's next look."""
    service, proxy = proxied
    monkeypatch.setattr(idempotency, "LEASE", 1_000_000)
    monkeypatch.setattr(Guards, "refresh", lambda _guards: None)
    real = events._judge

    def cut_off(*arguments):
        proxy.set("down")
        return real(*arguments)

    def report(http):
        return http.post("/v1/events", json={"events": [purchase()]}, headers={"Idempotency-Key": "one"}).status_code

    other = serve(make_workspace(database_url=service.workspace.settings.database_url.get_secret_value()))
    with monkeypatch.context() as once:
        once.setattr(events, "_judge", cut_off)
        assert report(service.http) == 503
    proxy.set("pass")
    assert wait_for(lambda: report(other.http) == 200)


def test_a_probe_that_fails_in_any_way_is_made_again():
    """An error nobody foresaw must not be the last thing that is heard of a database."""
    asked = []

    def probe():
        asked.append(1)
        if len(asked) == 1:
            raise ZeroDivisionError

    found = Outage(probe)
    found.begin(StoreUnavailable("away"))
    assert wait_for(lambda: not found.now)


def test_an_outage_nobody_can_watch_over_is_begun_by_the_next_failure(monkeypatch):
    """Where no thread can be had the database is asked again, rather than said to be lost for ever."""
    found, started = Outage(lambda: None), []
    monkeypatch.setattr(outage.threading.Thread, "start", unstartable(started))
    for _ in range(2):
        found.begin(StoreUnavailable("lost"))
    assert (found.now, len(started)) == (False, 2)


def unstartable(started: list[str]):
    """A start for which the machine has no thread left."""

    def start(thread):
        started.append(thread.name)
        raise RuntimeError("can't start new thread")

    return start


def test_who_was_cut_off_finds_it_out_once(proxied, purchase):
    """A write found that its connection leads nowhere; when it is well again, readers need not find out by theirs."""
    service, proxy = proxied
    service.report(purchase())
    service.offers()
    proxy.set("hole")
    assert service.report(purchase("e2")).status_code == 503
    proxy.set("pass")
    assert wait_for(lambda: service.http.get("/health/ready").json()["components"]["database"] == "ok")
    answer = service.offers()
    assert (answer["stale"], service.http.get("/health/ready").json()["components"]["database"]) == (False, "ok")
