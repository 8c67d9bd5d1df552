"""A database that is down, stalled or reset: writes are refused, reads go on, nothing acknowledged is lost."""

import time

import pytest
from sqlalchemy import text

from recsys.store import AnswerStore, Database, ErasureStore, KeyStore, LimitStore
from recsys.workspace import replay_decision
from serving import outage
from serving.answers import open_answers
from serving.http.app import create_app
from serving.http.people import People
from serving.http.service import Service
from serving.http.state import State
from tests.faults.killing import killed_under_load, lost
from tests.faults.proxy import fault_proxy
from tests.serving.late import answered_again, too_late
from tests.serving.test_state import wait_for


@pytest.mark.parametrize("fault", ["down", "stall"])
def test_without_the_database_reads_go_on_marked_stale(proxied, purchase, fault):
    """Offers and scores come from the snapshot, offers are kept in the journal; the newer purchase does not count."""
    service, proxy = proxied
    service.report(purchase(product="tea"))
    proxy.set(fault)
    offers, scores = service.offers(mode="repeat"), service.scores()
    assert (offers["stale"], offers["recorded"], scores["stale"]) == (True, True, True)
    assert {offer["item_id"] for offer in offers["offers"]} == {"latte", "scone"}


@pytest.mark.parametrize("fault", ["down", "stall"])
def test_without_the_database_writes_are_refused_until_it_is_back(proxied, purchase, fault):
    """503 with Retry-After; afterwards the service heals by itself and the same report is kept once."""
    service, proxy = proxied
    proxy.set(fault)
    answer = service.report(purchase())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    proxy.set("pass")
    assert wait_for(lambda: service.report(purchase()).status_code == 200)
    assert service.http.get("/v1/customers/ann").json()["orders"] == 4


@pytest.mark.parametrize("table", ["events", "erasures"])
def test_a_table_that_can_not_be_read_ends_no_answer(proxied, table):
    """Permission lost, a damaged page, tables moved back under a service: answers come from what was read last."""
    service, _proxy = proxied
    with service.workspace.database().writing() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_gone"))
    offers, scores = service.http.post("/v1/recommendations", json={"customer_id": "ann"}), service.http.get(SCORES)
    assert (offers.status_code, scores.status_code, scores.json()["stale"]) == (200, 200, True)


SCORES = "/v1/customers/ann/scores"

ONE = {"Idempotency-Key": "one"}


def report_with_key(service):
    """The answer to one purchase sent under the key."""
    event = {"event_id": "k", "type": "purchase", "customer_id": "ann"}
    lines = [{"product_id": "tea", "quantity": 1, "amount": 2.10}]
    return service.http.post("/v1/events", json={"events": [event | {"lines": lines}]}, headers=ONE)


def erase_with_key(service):
    """The answer to an erasure under the key."""
    return service.http.delete("/v1/customers/ann", headers=ONE)


def erase(service):
    """The answer to an erasure."""
    return service.http.delete("/v1/customers/ann")


WRITES = pytest.mark.parametrize("write", [report_with_key, erase_with_key, erase], ids=lambda each: each.__name__)


def counted(monkeypatch, *steps):
    """The steps of stores that are begun from now on."""
    asked = []

    def counting(name, real):
        def step(*arguments, **named):
            asked.append(name)
            return real(*arguments, **named)

        return step

    for kind, name in steps:
        monkeypatch.setattr(kind, name, counting(name, getattr(kind, name)))
    return asked


@WRITES
@pytest.mark.parametrize("fault", ["down", "stall"])
def test_one_write_finds_the_outage_and_no_other_waits(proxied, monkeypatch, write, fault):
    """503 with Retry-After, by keys and for erasures too; of three the first alone asks the database."""
    service, proxy = proxied
    asked = counted(monkeypatch, (AnswerStore, "begin"), (ErasureStore, "erase"))
    proxy.set(fault)
    answers = [write(service) for _ in range(3)]
    assert {(each.status_code, each.headers["retry-after"]) for each in answers} == {(503, "1")}
    assert len(asked) == 1


BY_ID = [(Service, "decision", f"decisions/{'0' * 32}"), (People, "export", "customers/ann/export")]


@pytest.mark.parametrize(("owner", "name", "path"), BY_ID, ids=["decision", "export"])
@pytest.mark.parametrize("fault", ["down", "stall"])
def test_what_only_the_database_knows_is_refused_and_no_other_waits(proxied, monkeypatch, owner, name, path, fault):
    """A decision by its id and an export: 503 with Retry-After; of three the first alone asks the database."""
    service, proxy = proxied
    asked = counted(monkeypatch, (owner, name))
    proxy.set(fault)
    answers = [service.http.get(f"/v1/{path}") for _ in range(3)]
    assert {(each.status_code, each.headers["retry-after"]) for each in answers} == {(503, "1")}
    assert ("kept" in answers[0].text, len(asked)) == (False, 1)


@WRITES
def test_a_stalled_write_says_what_may_be(proxied, write):
    """Given up, it may be done all the same."""
    service, proxy = proxied
    proxy.set("stall")
    assert write(service).json()["detail"].endswith("; it may be kept all the same.")


@WRITES
@pytest.mark.parametrize("fault", ["down", "stall"])
def test_a_write_refused_in_an_outage_is_done_by_its_repetition(proxied, write, fault):
    """The same request afterwards runs, no 409 for a dead one; under a key the next one is replayed."""
    service, proxy = proxied
    proxy.set(fault)
    write(service)
    proxy.set("pass")
    assert wait_for(lambda: write(service).status_code == 200)
    again = write(service)
    assert (again.status_code, "idempotency-replayed" in again.headers) == (200, write is not erase)


@pytest.mark.parametrize("fault", ["down", "stall"])
def test_offers_under_a_key_are_made_anew_in_an_outage(proxied, fault):
    """A till that sends keys gets its offers; with the database back the key counts again."""
    service, proxy = proxied

    def offers():
        return service.http.post("/v1/recommendations", json={"customer_id": "ann"}, headers=ONE)

    before = offers().json()
    proxy.set(fault)
    answers = [offers() for _ in range(2)]
    bodies = [each.json() for each in answers]
    assert [(each.status_code, "idempotency-replayed" in each.headers) for each in answers] == [(200, False)] * 2
    assert [(each["recorded"], each["stale"]) for each in bodies] == [(True, True)] * 2
    assert len({each["decision_id"] for each in [before, *bodies]}) == 3
    proxy.set("pass")
    assert wait_for(lambda: offers().json() == before)


def test_an_erasure_answered_too_late_is_done_and_may_be_repeated(service, purchase, monkeypatch):
    """503, for nobody knew in time; the repetition finds nothing left and answers with a receipt."""
    service.report(purchase())
    with too_late(monkeypatch, ErasureStore, "erase"):
        first = erase_with_key(service)
    second = answered_again(lambda: erase_with_key(service))
    assert (first.status_code, second.status_code, second.json()["events"]) == (503, 200, 0)
    assert service.http.get("/v1/customers/ann").status_code == 404


def test_after_an_outage_the_journal_is_uploaded_and_replays(proxied):
    """A decision made without the database is in it afterwards, and gives the same bits."""
    service, proxy = proxied
    proxy.set("stall")
    answer = service.offers()
    proxy.set("pass")
    assert wait_for(lambda: service.http.get("/health/ready").json()["status"] == "ok")
    assert wait_for(lambda: service.workspace.journal().waiting() == [])
    assert replay_decision(service.workspace, answer["decision_id"]).same


def test_reset_connections_are_replaced_unnoticed(proxied, purchase):
    """A restarted connection pooler costs no answer: the broken connection is replaced within the request."""
    service, proxy = proxied
    service.report(purchase(product="tea"))
    proxy.reset()
    assert service.offers()["stale"] is False


def test_two_services_on_one_postgres_see_each_others_purchases(make_workspace, serve, postgres, purchase):
    """A purchase acknowledged by one counts in the next answer of the other, and back."""
    address = postgres.new_database()
    one, other = (serve(make_workspace(database_url=address)) for _ in range(2))
    seen = []
    for number in range(6):
        teller, asked = (one, other) if number % 2 else (other, one)
        teller.report(purchase(f"e{number}", product="tea"))
        seen.append((asked.http.get("/v1/customers/ann").json()["orders"], asked.offers()["stale"]))
    assert seen == [(3 + count, False) for count in range(1, 7)]


def test_a_decision_of_one_service_is_found_at_the_other(make_workspace, serve, postgres):
    """The record belongs to the workspace, not to the worker that answered."""
    address = postgres.new_database()
    one, other = (serve(make_workspace(database_url=address)) for _ in range(2))
    answer = one.offers()
    assert other.http.get(f"/v1/decisions/{answer['decision_id']}").json()["offers"] == answer["offers"]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_killed_under_load_it_loses_nothing_acknowledged(make_workspace, request, database):
    """kill -9 for all workers: every acknowledged event and decision is there."""
    address = request.getfixturevalue("postgres").new_database() if database == "postgres" else None
    workspace = make_workspace().directory
    seen = killed_under_load(workspace, "k", address=address)
    assert min(len(seen.events), len(seen.decisions)) > 0
    assert lost(workspace, seen, address) == (0, 0)


@pytest.fixture
def behind_proxy(impatient, make_workspace, serve, postgres):
    """Starts services with a key over one workspace whose Postgres stands behind a proxy that can break."""
    database = postgres.new_database().partition("?")[0].rpartition("/")[2]
    with fault_proxy(postgres.socket) as proxy:
        where = f"127.0.0.1:{proxy.port}/{database}?sslmode=disable&gssencmode=disable"
        settings = {"database_url": f"postgresql+psycopg://postgres@{where}", "api_key": "k" * 43}
        key = {"Authorization": "Bearer " + "k" * 43}
        yield (lambda: serve(make_workspace(**settings), **key)), proxy


def test_a_service_starts_without_its_database_and_heals(behind_proxy, purchase):
    """It answers from the snapshot, marked stale, and refuses writes; with the database back it does everything."""
    start, proxy = behind_proxy
    first = start()
    assert wait_for((first.workspace.directory / "erased.json").exists)
    proxy.set("down")
    service = start()
    offers, refused = service.offers(), service.report(purchase())
    seen = offers["stale"], offers["recorded"], offers["evidence"], refused.status_code
    assert (*seen, service.http.get("/health/ready").json()["status"]) == (True, True, "history", 503, "degraded")
    proxy.set("pass")
    assert wait_for(lambda: service.report(purchase()).status_code == 200)
    assert (service.scores()["stale"], service.http.get("/health/ready").json()["status"]) == (False, "ok")


def test_a_start_tries_a_lost_database_once(make_workspace, monkeypatch, free_tcp_port):
    """Each vain attempt takes two seconds of a start when nobody answers; the probe finds the end of the outage."""
    monkeypatch.setattr(outage, "PAUSE", 60)
    state = State(make_workspace(database_url=f"postgresql://postgres@127.0.0.1:{free_tcp_port}/barista"), open_answers)
    opened = counted(monkeypatch, (Database, "open"))
    state.begin()
    app = create_app(state)
    assert (opened, app.state.service.outage.now) == (["open"], True)


def test_who_is_erased_stays_so_when_the_service_starts_without_its_database(behind_proxy):
    """What was read of the erasures last is kept beside the data."""
    start, proxy = behind_proxy
    assert start().http.delete("/v1/customers/ann").status_code == 200
    proxy.set("down")
    service = start()
    assert (service.scores("ann")["evidence"], service.scores("bob")["evidence"]) == ("low", "history")


def test_nobody_is_known_while_nobody_knows_who_is_erased(behind_proxy):
    """Never reached, nothing kept: everybody is answered as a stranger."""
    start, proxy = behind_proxy
    proxy.set("down")
    assert start().scores("ann")["evidence"] == "low"


def test_limits_and_unknown_keys_wait_for_no_database_that_is_lost(behind_proxy, monkeypatch, purchase):
    """A window that begins in an outage is the worker's own; an unknown key is 503, what is no key 401."""
    monkeypatch.setenv("BARISTA_RATE_LIMIT", "1000")
    monkeypatch.setenv("BARISTA_RATE_WINDOW", "1")
    start, proxy = behind_proxy
    service = start()
    assert service.report(purchase("e0")).headers["ratelimit-policy"] == '"requests";q=1000;w=1'
    proxy.set("stall")
    assert service.report(purchase()).status_code == 503
    asked = counted(monkeypatch, (KeyStore, "find"), (LimitStore, "lease"))
    time.sleep(1.1)  # another window
    statuses = [
        service.http.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code
        for key in ("k" * 43, "barista_made-since_" + "x" * 43, "anything")
    ]
    assert (statuses, asked) == ([200, 503, 401], [])
