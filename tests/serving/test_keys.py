"""Keys and scopes: each operation with every kind of key, expiry, rotation, and a store that is away."""

import time
from functools import partial

import httpx
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from recsys.cli.app import build_app
from recsys.errors import RequestRefused, StoreUnavailable
from recsys.store import SCOPES, KeyStore
from serving.http import guards
from serving.http.access import refuse_open_door
from serving.http.keyring import HONOURED, Keyring
from tests.docs.http_parts import known_operations
from tests.serving.test_state import wait_for

GUARDED = [operation for operation in known_operations() if not operation.public]
NAMES = [operation.name for operation in GUARDED]


@pytest.fixture(scope="module")
def guarded(template, tmp_path_factory):
    """A service with keys of every kind in its store, and the keys by kind."""
    import shutil

    from recsys.settings import Settings
    from recsys.workspace import Workspace
    from serving.http.local import serve_locally

    place = tmp_path_factory.mktemp("keys") / "workspace"
    shutil.copytree(template, place)
    workspace = Workspace.open(Settings(workspace=place, clock="snapshot", refresh_seconds=0.05))
    store, now = KeyStore(workspace.database()), int(time.time())
    texts = {scope: store.create(scope, [scope])[0] for scope in SCOPES}
    texts["expired"] = store.create("expired", ["admin"], expires_at=now - 10, now=now - 20)[0]
    revoked, key = store.create("revoked", ["admin"])
    store.revoke(key.key_id)
    texts |= {"revoked": revoked, "wrong": "barista_000000000000_" + "A" * 43, "odd": "ünknown"}
    with serve_locally(workspace) as local, httpx.Client(base_url=local.address, timeout=60) as client:
        yield client, texts, workspace


def ask(guarded, operation, kind):
    """The answer to an operation asked with a key of this kind."""
    client, texts, _ = guarded
    headers = {} if kind is None else {"Authorization": b"Bearer " + texts[kind].encode()}
    path = operation.template.replace("{customer_id}", "ann").replace("{decision_id}", "0" * 32)
    return client.request(operation.method, path, headers=headers)


@pytest.mark.parametrize("operation", GUARDED, ids=NAMES)
@pytest.mark.parametrize("kind", [None, "wrong", "odd", "expired", "revoked"])
def test_no_operation_opens_without_a_key_that_works(guarded, operation, kind):
    """None, a wrong, an expired or a revoked key is a 401 problem that names the scheme."""
    answer = ask(guarded, operation, kind)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("operation", GUARDED, ids=NAMES)
def test_no_operation_opens_for_a_key_of_another_scope(guarded, operation):
    """Each scope the operation does not take is a 403 problem that names the one it takes."""
    others = [scope for scope in SCOPES if scope not in (*operation.scopes, "admin")]
    answers = [ask(guarded, operation, scope) for scope in others]
    assert {(each.status_code, each.json()["type"]) for each in answers} == {(403, "urn:barista:problem:forbidden")}
    assert all(f'scope="{" ".join(operation.scopes)}"' in each.headers["www-authenticate"] for each in answers)


@pytest.mark.parametrize("operation", [each for each in GUARDED if each.method == "GET"], ids=lambda each: each.name)
def test_the_right_scope_and_admin_open(guarded, operation):
    """A key with one of the operation's scopes is let in, and one with `admin` everywhere."""
    kinds = {*operation.scopes, "admin"}
    assert {ask(guarded, operation, kind).status_code for kind in kinds} <= {200, 404}


def test_the_document_names_the_scopes_of_every_operation(guarded):
    """A program can read which key it needs."""
    paths = guarded[0].get("/openapi.json").json()["paths"]
    told = {
        each["operationId"]: [key["key"][0] for key in each["security"] if key]
        for methods in paths.values()
        for each in methods.values()
    }
    assert {each.name: told[each.name] for each in GUARDED} == {
        each.name: list(dict.fromkeys((*each.scopes, "admin"))) for each in GUARDED
    }


def test_a_key_made_while_it_serves_opens_at_once(guarded):
    """Nobody waits for the next refresh to use a new key."""
    text, _ = KeyStore(guarded[2].database()).create("new", ["recommend"])
    assert guarded[0].get("/v1/models", headers={"Authorization": f"Bearer {text}"}).status_code == 200


def test_after_a_rotation_both_keys_open_until_the_overlap_ends(tmp_workspace):
    """The successor has name and scopes of the former, which ends with the overlap."""
    store = KeyStore(tmp_workspace.database())
    _, old = store.create("till", ["events", "recommend"], now=1_000)
    _, new = store.rotate(old.key_id, overlap=60, now=2_000)
    kept = store.named(old.key_id)
    assert (new.name, new.scopes, new.replaces) == (old.name, old.scopes, old.key_id)
    assert [kept.state(at) for at in (2_059, 2_060)] == ["valid", "expired"]


def test_a_rotated_key_with_an_expiry_lives_as_long_again(tmp_workspace):
    """Ninety days stay ninety days, and an overlap never lengthens the former key's life."""
    store = KeyStore(tmp_workspace.database())
    _, old = store.create("till", ["events"], expires_at=1_090, now=1_000)
    _, new = store.rotate(old.key_id, overlap=3_600, now=1_080)
    assert (new.expires_at, store.named(old.key_id).expires_at) == (1_170, 1_090)


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_key_that_ended_can_not_be_rotated(tmp_workspace, end):
    """Rotation never brings a key back to life."""
    store = KeyStore(tmp_workspace.database())
    _, key = store.create("till", ["events"], expires_at=2_000, now=1_000)
    if end == "revoked":
        store.revoke(key.key_id, now=1_100)
    with pytest.raises(RequestRefused, match=end):
        store.rotate(key.key_id, now=1_200 if end == "revoked" else 2_000)


@pytest.mark.parametrize("given", [{"scopes": []}, {"scopes": ["all"]}, {"name": ""}, {"expires_at": 999}])
def test_a_key_that_makes_no_sense_is_not_made(tmp_workspace, given):
    """No scope, an unknown one, no name, an expiry in the past."""
    with pytest.raises(RequestRefused):
        KeyStore(tmp_workspace.database()).create(**({"name": "x", "scopes": ["score"], "now": 1_000} | given))


def test_the_store_holds_no_key(tmp_workspace):
    """The database has the SHA-256 of a key, not the key: no part of the secret is in the file."""
    text, _ = KeyStore(tmp_workspace.database()).create("till", ["score"])
    tmp_workspace.database().close()
    content = b"".join(path.read_bytes() for path in tmp_workspace.directory.glob("barista.db*"))
    secret = text.split("_", 2)[2]
    assert (len(secret), secret.encode() in content) == (43, False)


def test_keys_are_honoured_for_fifteen_minutes_without_the_store(tmp_workspace):
    """A key read before opens while the database is away, and no longer than that."""
    now, away = [1_000.0], [False]

    def store():
        if away[0]:
            raise StoreUnavailable("away")
        return KeyStore(tmp_workspace.database())

    text, key = store().create("till", ["score"])
    ring = Keyring(None, store, lambda: now[0])
    ring.refresh()
    away[0] = True
    now[0] += HONOURED
    ring.refresh()
    assert ring.known(text) == key
    now[0] += 1
    with pytest.raises(StoreUnavailable):
        ring.known(text)


@pytest.fixture
def passed(monkeypatch):
    """How much later it is for the keys of services started from now on [s]; to be changed in place."""
    seconds = [0.0]
    monkeypatch.setattr(guards, "Keyring", partial(Keyring, monotonic=lambda: time.monotonic() + seconds[0]))
    return seconds


@pytest.fixture
def with_store_key(passed, proxied):
    """A service that has read the keys of its store, asked with one of them, and what its Postgres stands behind."""
    service, proxy = proxied
    text, _ = KeyStore(service.workspace.database()).create("till", ["recommend", "score"])
    assert wait_for(lambda: service.http.get("/v1/models").status_code == 401)
    service.http.headers["Authorization"] = f"Bearer {text}"
    return service, proxy


def statuses(service):
    """Those of offers and of scores."""
    offers = service.http.post("/v1/recommendations", json={"customer_id": "ann"})
    return offers.status_code, service.http.get("/v1/customers/ann/scores").status_code


@pytest.mark.parametrize("fault", ["down", "stall"])
def test_a_key_of_the_store_opens_for_a_quarter_of_an_hour_of_an_outage(with_store_key, passed, fault):
    """Offers and scores are answered for fifteen minutes; then it is 503, for nobody said that the key is wrong."""
    service, proxy = with_store_key
    proxy.set(fault)
    seen = [statuses(service)]
    for passed[0] in (14 * 60, 15 * 60 + 1):
        seen.append(statuses(service))
    assert seen == [(200, 200), (200, 200), (503, 503)]


@pytest.mark.parametrize("fault", ["down", "stall"])
def test_a_key_of_the_store_opens_again_after_the_outage(with_store_key, passed, fault):
    """However long it was, the keys are read again by themselves."""
    service, proxy = with_store_key
    with capture_logs() as lines:
        proxy.set(fault)
        passed[0] = 3_600
        before = statuses(service)
        assert wait_for(lambda: "keys not read" in [line["event"] for line in lines])
    proxy.set("pass")
    assert (before, wait_for(lambda: statuses(service) == (200, 200))) == ((503, 503), True)


def test_revoking_the_last_key_opens_no_door(tmp_workspace):
    """A service that had a key goes on asking for one."""
    store = KeyStore(tmp_workspace.database())
    _, key = store.create("till", ["score"])
    store.revoke(key.key_id)
    ring = Keyring(None, lambda: store)
    ring.refresh()
    assert ring.asks


def test_with_keys_in_the_store_it_may_listen_anywhere(settings):
    """Keys of the store open other addresses as the one of the settings does."""
    assert refuse_open_door(settings.model_copy(update={"host": "0.0.0.0"}), keys=True) is None


@pytest.fixture
def tmp_workspace(tiny_workspace):
    """A workspace with a database and nothing in it."""
    return tiny_workspace


def command(workspace, *arguments):
    """Output of `barista keys …`."""
    return CliRunner().invoke(build_app(), ["--workspace", str(workspace.directory), "keys", *arguments])


def test_the_commands_make_rotate_revoke_and_list_keys(tmp_workspace):
    """A key printed by `create` is found by the store; the list shows states and never a key."""
    made = command(tmp_workspace, "create", "till", "--scope", "events", "--days", "90").stdout.strip()
    key_id = made.split("_")[1]
    rotated = command(tmp_workspace, "rotate", key_id).stdout.strip()
    command(tmp_workspace, "revoke", key_id)
    listed = command(tmp_workspace, "list").stdout
    assert sorted(line.split()[3] for line in listed.splitlines()) == ["revoked", "valid"]
    assert (made in listed, rotated in listed, "events" in listed) == (False, False, True)
