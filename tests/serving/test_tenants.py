"""Several tenants in one service: the key decides, nothing of one is seen by another."""

import shutil
import threading
from functools import partial
from types import SimpleNamespace

import httpx
import pytest
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.errors import SettingsError, StoreUnavailable
from recsys.store import KeyStore
from recsys.workspace import Workspace, tenants_of
from serving.http import asking
from serving.http.app import create_app
from serving.http.health_bodies import HealthBody
from serving.http.local import answering, serve_locally
from serving.http.running import Running
from serving.http.tenants import open_tenants, tenants_app, together
from serving.outage import Outage
from tests.docs.http_parts import known_operations
from tests.serving.test_processes import CLIENT, serving
from tests.serving.test_state import wait_for
from tests.serving.two_tenants import MARKS, OTHER, make_tenants, operator_of, run, serving_both, told, unlike_alone

OPERATOR = "o" * 43
GUARDED = [each for each in known_operations() if not each.public]


@pytest.fixture(autouse=True)
def patient_requests(monkeypatch):
    """No stall of the machine is taken for a lost database: a 503 would hide what is looked for."""
    monkeypatch.setattr(asking, "WITHIN", 30.0)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Both tenants' workspaces, fitted once."""
    place = tmp_path_factory.mktemp("template") / "tenants"
    make_tenants(place)
    return place


@pytest.fixture
def place(template, tmp_path):
    """The test's own copy of both tenants."""
    return shutil.copytree(template, tmp_path / "tenants")


@pytest.fixture(scope="module")
def both(template, tmp_path_factory):
    """A service for tests that change nothing that others see."""
    place = shutil.copytree(template, tmp_path_factory.mktemp("both") / "tenants")
    with serving_both(operator_of(place, api_key=OPERATOR)) as both:
        yield both


def path_of(operation):
    """A path of an operation with ids in it."""
    return operation.template.replace("{customer_id}", "c0001").replace("{decision_id}", "0" * 32)


def test_requests_of_two_tenants_mixed_leak_nothing(both, place):
    """Ids, event ids and idempotency keys alike, at once: each answer is as if the other tenant were not there."""
    seen = run(both, 480)
    assert (seen.answers, seen.leaks, unlike_alone(place, seen)) == (480, [], [])


def test_two_tenants_on_one_postgres_leak_nothing(postgres, place):
    """The same with the tables of both in one database, each in its schema; alone each has a file."""
    address = postgres.new_database("template0")
    with serving_both(operator_of(place, database_url=address)) as both:
        seen = run(both, 160)
    assert (seen.answers, seen.leaks, unlike_alone(place, seen)) == (160, [], [])


ASKED = [
    request
    for customer in ("c0000", "c0001", "c0002", "c0003", "stranger")
    for request in (
        {"method": "GET", "url": f"/v1/customers/{customer}/scores"},
        {"method": "POST", "url": "/v1/recommendations", "json": {"customer_id": customer, "reasons": True}},
    )
]


@pytest.mark.parametrize("name", MARKS)
def test_a_tenant_is_answered_as_by_a_service_of_its_own(both, name):
    """Scores and offers are those of a service over the tenant's workspace alone, bit for bit."""
    alone = Workspace(both.workspaces[name].settings.model_copy(update={"tenants": None, "oauth_tenant": ""}))
    with both.client(name) as http, serve_locally(alone) as local:
        answers = [told(http.request(**each)) for each in ASKED]
        http.base_url = local.address
        expected = [told(http.request(**each)) for each in ASKED]
    assert answers == expected


@pytest.mark.parametrize("operation", GUARDED, ids=lambda each: each.name)
def test_without_a_tenants_key_nothing_opens(both, operation):
    """No key and a wrong one are 401 everywhere; no tenant answers."""
    wrong = {"Authorization": "Bearer barista_000000000000_" + "A" * 43}
    with both.client(None) as http:
        answers = [http.request(operation.method, path_of(operation), headers=each) for each in ({}, wrong)]
    assert [each.status_code for each in answers] == [401, 401]


@pytest.mark.parametrize("operation", GUARDED, ids=lambda each: each.name)
def test_the_operators_key_opens_no_tenant(both, operation):
    """It sees the metrics of the whole service and is refused everything of a tenant, writes with a key too."""
    headers = {"Authorization": f"Bearer {OPERATOR}", "Idempotency-Key": "k"}
    with both.client(None) as http:
        answer = http.request(operation.method, path_of(operation), headers=headers)
    assert answer.status_code == (200 if operation.name == "metrics" else 403)


def test_a_tenants_key_does_not_open_the_metrics_of_all(both):
    """What is counted over all tenants is the operator's."""
    with both.client("north") as http:
        assert http.get("/metrics").status_code == 401


@pytest.mark.parametrize("name", MARKS)
def test_foreign_and_unknown_ids_look_alike(both, name):
    """A decision and a customer of the other tenant are answered as those that nobody has."""
    order = {"event_id": f"only-{name}", "type": "view", "customer_id": f"guest-{name}"}
    with both.client(OTHER[name]) as other, both.client(name) as http:
        foreign = other.post("/v1/recommendations", json={"customer_id": "c0001"}).json()["decision_id"]
        other.post("/v1/events", json={"events": [order]})
        paths = (f"/v1/decisions/{foreign}", f"/v1/decisions/{'f' * 32}", f"/v1/customers/guest-{name}/export")
        answers = [http.get(path) for path in (*paths, "/v1/customers/nobody/export")]
    bodies = [answer.json() | {"instance": ""} for answer in answers]
    assert (bodies[0], bodies[2]) == (bodies[1], bodies[3])
    assert {answer.status_code for answer in answers} == {404}


def test_a_revoked_key_of_one_tenant_leaves_the_other_alone(place):
    """Keys are each tenant's own; the one made by another tenant under the same name stays."""
    with serving_both(operator_of(place)) as both:
        store = KeyStore(both.workspaces["north"].database())
        for key in store.all().values():
            store.revoke(key.key_id)
        with both.client("north") as north, both.client("south") as south:
            while north.get("/v1/models").status_code == 200:
                pass
            assert (north.get("/v1/models").status_code, south.get("/v1/models").status_code) == (401, 200)


def test_a_key_made_while_it_runs_opens_after_a_refresh(place):
    """The service reads each tenant's keys again and again."""
    with serving_both(operator_of(place)) as both:
        text, _ = KeyStore(both.workspaces["south"].database()).create("late", ["score"])
        headers = {"Authorization": f"Bearer {text}"}
        while httpx.get(f"{both.address}/v1/models", headers=headers).status_code == 401:
            pass
        answer = httpx.get(f"{both.address}/v1/customers/c0001/scores", headers=headers).json()
    assert answer["currency"] == "SEK"


def test_a_tenant_without_keys_is_closed(place):
    """What stands open alone on its own machine does not as a tenant."""
    operator = operator_of(place)
    with answering(tenants_app(operator, open_tenants(operator))) as address:
        assert httpx.get(f"{address}/v1/models").status_code == 401


@pytest.fixture
def unreadable(monkeypatch):
    """Tenants whose keys can't be read; to be changed in place."""
    names, real = set(), KeyStore.all

    def read(self):
        if any(f"/{name}/" in str(self._database._engine.url) for name in names):
            raise StoreUnavailable("away")
        return real(self)

    monkeypatch.setattr(KeyStore, "all", read)
    return names


@pytest.fixture
def attempts(monkeypatch):
    """Workspaces whose database was tried in vain, 5 s of the states' clock each time; no probe is made.

    Services of other tests that still run ask in threads of their own.
    """
    tried = []

    def database(self):
        if threading.current_thread() is threading.main_thread():
            tried.append(self.directory.name)
        raise StoreUnavailable("away")

    monkeypatch.setattr(Outage, "begin", lambda outage, _error: setattr(outage, "now", True))
    monkeypatch.setattr(Workspace, "database", database)
    monkeypatch.setattr("serving.http.state.time", SimpleNamespace(monotonic=lambda: 5.0 * len(tried)))
    return tried


def test_a_lost_database_of_each_tenant_is_tried_once(place, attempts):
    """However long the attempts of the others took, no application tries again what was in vain at the opening."""
    operator = operator_of(place)
    tenants_app(operator, open_tenants(operator))
    assert sorted(attempts) == ["north", "south"]


def test_a_lost_database_is_tried_once_on_an_address_beyond_this_machine(place, attempts):
    """Whether there are keys, who is erased and whether it answers: one attempt for all three."""
    settings = tenants_of(operator_of(place))["north"].settings
    running = Running.open(settings.model_copy(update={"tenants": None, "host": "0.0.0.0"}))
    create_app(running.state)
    assert attempts == ["north"]


SHOWN = ("north", "south", "nobody", "no key")
"""Keys of two tenants, one of nobody that reads like them, and a text that reads like none."""


def answers_to(place):
    """What is answered to each of `SHOWN` on a service that starts now."""
    operator = operator_of(place, api_key=OPERATOR)
    states = open_tenants(operator)
    keys = {name: KeyStore(each.workspace.database()).create("all", ["admin"])[0] for name, each in states.items()}
    keys |= {"nobody": "barista_000000000000_" + "A" * 43, "no key": "anything"}
    with answering(tenants_app(operator, states)) as address:
        ask = partial(httpx.get, f"{address}/v1/models")
        return {each: ask(headers={"Authorization": f"Bearer {keys[each]}"}) for each in SHOWN}


@pytest.mark.parametrize(
    ("lost", "due"),
    [
        ({"north", "south"}, {"north": 503, "south": 503, "nobody": 503, "no key": 401}),
        ({"north"}, {"north": 503, "south": 200, "nobody": 503, "no key": 401}),
        ({"south"}, {"north": 200, "south": 503, "nobody": 503, "no key": 401}),
        (set(), {"north": 200, "south": 200, "nobody": 401, "no key": 401}),
    ],
)
def test_a_key_that_may_be_one_of_keys_not_read_is_answered_later(place, unreadable, lost, due):
    """While the keys of a tenant were never read nobody can say that a key is wrong: 503, not 401."""
    unreadable |= lost
    assert {each: answer.status_code for each, answer in answers_to(place).items()} == due


def test_the_key_of_a_tenant_not_read_and_one_of_nobody_look_alike(place, unreadable):
    """Both are told to ask again later, in the same words."""
    unreadable |= {"north"}
    answers = answers_to(place)
    bodies = [answers[each].json() | {"instance": ""} for each in ("north", "nobody")]
    waits = [answers[each].headers["retry-after"] for each in ("north", "nobody")]
    assert (bodies[0], waits) == (bodies[1], ["1", "1"])


def test_a_key_made_after_the_last_reading_of_a_lost_database_is_answered_later(place, unreadable):
    """Keys read before go on opening; of one made since nobody can say that it is wrong."""
    with serving_both(operator_of(place)) as both, both.client("north") as north:
        unreadable |= {"north", "south"}
        made, _ = KeyStore(both.workspaces["north"].database()).create("new", ["admin"])
        new = {"Authorization": f"Bearer {made}"}
        assert wait_for(lambda: httpx.get(f"{both.address}/v1/models", headers=new).status_code == 503)
        assert north.get("/v1/models").status_code == 200


def test_a_tenants_own_app_asks_for_the_key_again(place):
    """Were a request handed to the wrong tenant, its key would not open there."""
    operator = operator_of(place)
    states = open_tenants(operator)
    key, _ = KeyStore(states["north"].workspace.database()).create("till", ["admin"])
    with answering(create_app(states["south"])) as address:
        assert httpx.get(f"{address}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_one_service_process_answers_for_all(place):
    """`python -m serving --tenants` with two workers: keys decide, and log lines name the tenant."""
    spaces = tenants_of(operator_of(place))
    keys = {name: KeyStore(each.database()).create("till", ["score"])[0] for name, each in spaces.items()}
    with serving(spaces["north"], "--tenants", str(place), "--workers", "2") as (process, address):
        answers = {
            name: CLIENT.get(f"{address}/v1/customers/c0001/scores", headers={"Authorization": f"Bearer {key}"}).json()
            for name, key in keys.items()
        }
        process.terminate()
        log = process.communicate(timeout=20)[1]
    assert {name: answer["currency"] for name, answer in answers.items()} == {"north": "EUR", "south": "SEK"}
    assert '"tenant":"south"' in log.replace(" ", "")


def test_probes_name_no_tenant(both):
    """Anyone may ask whether the service is ready; the answer counts tenants and names none."""
    with both.client(None) as http:
        health = http.get("/health/ready").json()
    nothing = {"snapshot_id": None, "components": {}, "parts": None}
    assert health == {"status": "ok", "reasons": []} | nothing


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (["ok", "ok"], "ok"),
        (["ok", "degraded"], "degraded"),
        (["ok", "not ready"], "degraded"),
        (["not ready", "not ready"], "not ready"),
    ],
)
def test_one_tenant_does_not_take_the_service_down(found, status):
    """Not ready only when no tenant is; degraded when any is not well."""
    assert together([HealthBody(each, ("why",)) for each in found]).status == status


def test_one_tenant_that_is_degraded_shows_for_all(place):
    """The metric and the probe of everybody speak of the worst, the probe with a tenant's key of this one."""
    operator = {"Authorization": f"Bearer {OPERATOR}"}
    with serving_both(operator_of(place, api_key=OPERATOR)) as both, both.client("south") as south:
        (both.workspaces["north"].directory / "bundles" / "churn" / "champion").write_text("99")
        while "barista_degraded 1.0" not in httpx.get(f"{both.address}/metrics", headers=operator).text:
            pass
        health = httpx.get(f"{both.address}/health/ready").json()
        assert (health["reasons"], south.get("/health/ready").json()["status"]) == (["1 of 2 tenants: degraded"], "ok")
        (both.workspaces["north"].directory / "bundles" / "churn" / "champion").write_text("7")
        while "barista_degraded 0.0" not in httpx.get(f"{both.address}/metrics", headers=operator).text:
            pass


def test_tenants_that_share_tables_are_refused(place):
    """One database without a schema for each would mix their rows: the service does not start."""
    with pytest.raises(SettingsError, match="north and south"):
        tenants_of(operator_of(place, database_url=f"sqlite:///{place}/all.db"))


SERVER = "http://mlflow.example:5000"


@pytest.mark.parametrize("servers", [(SERVER, SERVER), (SERVER, f"{SERVER}/")], ids=["alike", "slash"])
def test_tenants_that_share_models_are_refused(place, servers):
    """One MLflow without a prefix for each would let a model trained on one's customers answer for the other's."""
    for name, server in zip(MARKS, servers, strict=True):
        (place / name / "barista.toml").write_text(f'registry_prefix = "cafe-"\nmlflow_tracking_uri = "{server}"\n')
    with pytest.raises(SettingsError, match=r"models under one name.*north and south.*registry_prefix"):
        tenants_of(operator_of(place))


def test_what_keeps_tenants_apart_is_not_the_environments(place, monkeypatch):
    """A prefix and a schema for all would be none; each tenant's file names its own."""
    monkeypatch.setenv("BARISTA_REGISTRY_PREFIX", "shared-")
    monkeypatch.setenv("BARISTA_DATABASE_SCHEMA", "shared")
    found = [each.settings for each in tenants_of(operator_of(place)).values()]
    apart = [(each.registry_prefix, each.database_schema) for each in found]
    assert apart == [("north-", "north"), ("south-", "south")]


def test_a_tenant_whose_file_names_no_prefix_has_none(place, monkeypatch):
    """Nothing of the environment stands in for it."""
    monkeypatch.setenv("BARISTA_REGISTRY_PREFIX", "shared-")
    (place / "north" / "barista.toml").unlink()
    assert tenants_of(operator_of(place))["north"].settings.registry_prefix == ""


def test_the_commands_make_and_list_tenants(tmp_path):
    """`create` makes a workspace with a schema and a prefix of its own; a strange name is refused."""
    place = tmp_path / "tenants"
    place.mkdir()
    program = ["tenants", "create", "--tenants", str(place)]
    CliRunner().invoke(build_app(), [*program, "east"])
    refused = CliRunner().invoke(build_app(), [*program, "../west"])
    listed = CliRunner().invoke(build_app(), ["tenants", "list", "--tenants", str(place)])
    assert 'database_schema = "east"' in (place / "east" / "barista.toml").read_text()
    assert (listed.stdout, type(refused.exception)) == ("east  nothing imported\n", SettingsError)
