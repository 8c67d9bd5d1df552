"""Access tokens: one in order opens as a key does, every other is 401; each route with each kind of key and token."""

import base64
import json
import shutil
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448, rsa

from recsys.errors import SettingsError
from recsys.settings import Settings
from recsys.store import SCOPES, KeyStore
from recsys.workspace import Workspace
from serving.http.access import refuse_open_door
from serving.http.local import answering, serve_locally
from serving.http.problems import Problem
from serving.http.tenants import open_tenants, tenants_app
from serving.http.tokens import TokenRules, Tokens, granted_scopes, read_keys
from tests.docs.http_parts import known_operations
from tests.serving.signing import AUDIENCE, ISSUER, PAIRS, STRANGER, claims, public_key, token, write_keys
from tests.serving.two_tenants import make_tenants

RULES = TokenRules(ISSUER, AUDIENCE, leeway=30)
GUARDED = [operation for operation in known_operations() if not operation.public]


def now() -> int:
    """This second."""
    return int(time.time())


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The key set of the tests."""
    return write_keys(tmp_path_factory.mktemp("jwks") / "jwks.json")


@pytest.fixture(scope="module")
def tokens(file):
    """Tokens checked by it."""
    return Tokens(file, RULES)


@pytest.mark.parametrize("algorithm", PAIRS)
def test_a_token_in_order_has_its_scopes(tokens, algorithm):
    """Each algorithm that is taken opens with the scopes the token grants and no other."""
    assert tokens.key(token(algorithm, scope="score other events")).scopes == ("score", "events")


def unsigned():
    """A token that says that it needs no signature."""
    return jwt.encode(claims(), None, "none", {"kid": "ES256"})


def hs_with_the_public_key():
    """A token signed by the public key taken for a shared secret (CVE-2015-9235), by hand: libraries refuse to."""
    import hmac

    pem = (
        PAIRS["RS256"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    parts = ({"alg": "HS256", "typ": "JWT", "kid": "RS256"}, claims())
    head = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = hmac.digest(pem, head, "sha256")
    return (head + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def changed():
    """A token whose claims were changed after it was signed."""
    head, _, signature = token(scope="score").split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(scope="admin")).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


WRONG = {
    "no signature": unsigned,
    "a public key as a secret": hs_with_the_public_key,
    "changed claims": changed,
    "a stranger's signature": lambda: token(pair=STRANGER),
    "an unknown key": lambda: token(headers={"kid": "other"}),
    "no key named": lambda: jwt.encode(claims(), PAIRS["ES256"], "ES256"),
    "another key named": lambda: token("RS256", headers={"kid": "ES256"}),
    "another hash": lambda: jwt.encode(claims(), PAIRS["RS256"], "RS512", {"kid": "RS256"}),
    "a critical extension": lambda: token(headers={"crit": ["exp"]}),
    "expired": lambda: token(exp=now() - 31),
    "not yet valid": lambda: token(nbf=now() + 120),
    "issued tomorrow": lambda: token(iat=now() + 86_400),
    "another audience": lambda: token(aud="shop"),
    "another issuer": lambda: token(iss="https://evil.example"),
    "no expiry": lambda: token(exp=None),
    "no audience": lambda: token(aud=None),
    "no issuer": lambda: token(iss=None),
    "no subject": lambda: token(sub=None),
    "an expiry that is no number": lambda: token(exp="soon"),
    "an endless expiry": lambda: token(exp=float("inf")),
    "too long": lambda: token(more="x" * 9_000),
    "no JSON": lambda: "eyJ.e30.",
    "nothing in it": lambda: "ey..",
    "no text": lambda: "ey\x00.\xff.\xfe",
}


@pytest.mark.parametrize("case", WRONG)
def test_a_token_that_is_not_in_order_opens_nothing(tokens, case):
    """Every fault is the same 401; what is found names the fault and repeats nothing of the token."""
    with pytest.raises(Problem) as caught:
        tokens.key(WRONG[case]())
    assert (caught.value.kind, caught.value.found.startswith("a token ")) == ("unauthenticated", True)


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -20), ("nbf", 20), ("iat", 20)])
def test_a_clock_may_be_off_by_the_leeway(tokens, claim, seconds):
    """Thirty seconds either way are forgiven."""
    assert tokens.key(token(**{claim: now() + seconds})).scopes == ("admin",)


def test_one_of_several_audiences_is_enough(tokens):
    """A token may be for other services too."""
    assert tokens.key(token(aud=["x", AUDIENCE])).scopes == ("admin",)


def test_a_token_checked_before_still_expires(file):
    """A token that is remembered ends with its expiry and the leeway."""
    ends = now() + 60
    key = Tokens(file, RULES).key(token(exp=ends))
    assert [key.state(ends + second) for second in (29, 30)] == ["valid", "expired"]


def test_a_key_taken_out_of_the_set_opens_no_more(tmp_path):
    """The file is read again when it changes; tokens remembered as checked are forgotten."""
    tokens = Tokens(write_keys(tmp_path / "jwks.json"), RULES)
    text = token("ES256")
    tokens.key(text)
    write_keys(tmp_path / "jwks.json", public_key("RS256"))
    tokens.refresh()
    with pytest.raises(Problem):
        tokens.key(text)


def test_a_token_checked_while_its_key_is_taken_out_opens_no_more(tmp_path, monkeypatch):
    """What was checked against the former set is not remembered beside the next."""
    tokens = Tokens(write_keys(tmp_path / "jwks.json"), RULES)

    def refreshed(*given):
        write_keys(tmp_path / "jwks.json", public_key("RS256"))
        tokens.refresh()
        return granted_scopes(*given)

    monkeypatch.setattr("serving.http.tokens.granted_scopes", refreshed)
    text = token("ES256")
    tokens.key(text)
    with pytest.raises(Problem):
        tokens.key(text)


def test_a_broken_set_leaves_the_former(tmp_path):
    """A file half written does not lock everyone out."""
    tokens = Tokens(write_keys(tmp_path / "jwks.json"), RULES)
    (tmp_path / "jwks.json").write_text('{"keys": [')
    tokens.refresh()
    assert tokens.key(token()).scopes == ("admin",)


SETS = {
    "a private key": [public_key("ES256") | {"d": "AA"}],
    "a shared secret": [{"kty": "oct", "k": "AAAA", "kid": "x", "alg": "HS256"}],
    "a short key": [public_key("RS256", rsa.generate_private_key(public_exponent=65537, key_size=1024))],
    "another algorithm": [public_key("RS256", alg="RS512")],
    "two under one name": [public_key("ES256"), public_key("ES256")],
    "none": [],
    "another purpose only": [public_key("ES256", use="enc")],
    "no key": ["key"],
}


@pytest.mark.parametrize("case", SETS)
def test_a_set_that_proves_nothing_is_refused(case):
    """Secrets, weak keys and double names stop the start with what was expected."""
    with pytest.raises(SettingsError, match="ES256, EdDSA, RS256"):
        read_keys(json.dumps({"keys": SETS[case]}))


def test_an_issuer_and_an_audience_are_needed(file):
    """A key set alone would let in the tokens of every service of its issuer."""
    with pytest.raises(SettingsError, match="BARISTA_OAUTH_AUDIENCE"):
        Tokens.of(Settings(oauth_jwks=file))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"scope": "b:score b:admin score"}, {"score", "admin"}),
        ({"scp": ["b:events", 7]}, {"events"}),
        ({"scope": 7}, set()),
        ({}, set()),
    ],
)
def test_scopes_are_read_from_either_claim_without_their_prefix(said, found):
    """`scope` is a text, `scp` a text or a list; what lacks the prefix is another service's."""
    assert granted_scopes(said, "b:") == found


def test_with_a_key_set_it_may_listen_anywhere(file):
    """Tokens close the door as keys do."""
    assert refuse_open_door(Settings(host="0.0.0.0", oauth_jwks=file)) is None


@pytest.fixture(scope="module")
def tenants(tmp_path_factory, file):
    """Two tenants behind one address, and a credential of each kind for the northern one."""
    place = tmp_path_factory.mktemp("tokens") / "tenants"
    oauth = {"oauth_jwks": file, "oauth_issuer": ISSUER, "oauth_audience": AUDIENCE}
    operator = make_tenants(place, **oauth)
    states = open_tenants(operator)
    stores = {name: KeyStore(state.workspace.database()) for name, state in states.items()}
    shown = {f"key {scope}": stores["north"].create(scope, [scope])[0] for scope in SCOPES}
    shown |= {f"token {scope}": token(scope=scope, tenant="north") for scope in SCOPES}
    revoked, key = stores["north"].create("revoked", ["admin"])
    stores["north"].revoke(key.key_id)
    shown |= {
        "key wrong": "barista_000000000000_" + "A" * 43,
        "key expired": stores["north"].create("old", ["admin"], expires_at=now() - 10, now=now() - 20)[0],
        "key revoked": revoked,
        "key other": stores["south"].create("south", ["admin"])[0],
        "token wrong": token(pair=STRANGER, tenant="north"),
        "token expired": token(exp=now() - 100, tenant="north"),
        "token other": token(tenant="south"),
        "token nobody": token(tenant="west"),
        "token without": token(),
    }
    with answering(tenants_app(operator, states)) as address, httpx.Client(base_url=address, timeout=60) as client:
        offers = client.post("/v1/recommendations", json={"customer_id": "c0001"}, headers=bearer(shown["key admin"]))
        yield client, shown, offers.json()["decision_id"]


def bearer(text):
    """The header that shows a key or token."""
    return {"Authorization": f"Bearer {text}"} if text else {}


def ask(tenants, operation, kind):
    """The answer to an operation on what the northern tenant has, asked with a credential of this kind."""
    client, shown, decision = tenants
    customer = "c0039" if operation.name == "erase" else "c0001"
    path = operation.template.replace("{customer_id}", customer).replace("{decision_id}", decision)
    answer = client.request(operation.method, path, headers=bearer(shown.get(kind)))
    assert answer.status_code < 400 or answer.headers["content-type"] == "application/problem+json"
    return answer


CLOSED = (
    "none",
    "key wrong",
    "key expired",
    "key revoked",
    "token wrong",
    "token expired",
    "token nobody",
    "token without",
)


@pytest.mark.parametrize("operation", GUARDED, ids=lambda each: each.name)
def test_every_route_is_closed_to_whoever_is_not_let_in(tenants, operation):
    """None, wrong, expired, revoked, of no tenant: 401 for keys and for tokens."""
    assert {kind: ask(tenants, operation, kind).status_code for kind in CLOSED} == dict.fromkeys(CLOSED, 401)


@pytest.mark.parametrize("operation", GUARDED, ids=lambda each: each.name)
def test_every_route_is_closed_to_other_scopes(tenants, operation):
    """Each scope the operation does not take: 403 for keys and for tokens; 401 where it is the operator's."""
    wrong = [scope for scope in SCOPES if scope not in (*operation.scopes, "admin")]
    answers = [ask(tenants, operation, f"{kind} {scope}").status_code for kind in ("key", "token") for scope in wrong]
    assert set(answers) == {401 if operation.name == "metrics" else 403}


@pytest.mark.parametrize("kind", [*CLOSED, "key admin", "token score"])
def test_only_a_proved_tenant_is_told_of_its_own_health(tenants, kind):
    """A token that merely says it is of a tenant, a key that is no more: answered as everybody is."""
    client, shown, _ = tenants
    health = client.get("/health/ready", headers=bearer(shown.get(kind))).json()
    assert (health["snapshot_id"] is not None) == (kind in {"key admin", "token score"})


TAKEN = [each for each in GUARDED if each.name not in {"metrics", "erase"}]


@pytest.mark.parametrize("operation", TAKEN, ids=lambda each: each.name)
def test_every_route_opens_for_its_scope(tenants, operation):
    """Keys and tokens of a scope the operation takes are let in; only then its body is looked at."""
    answers = [ask(tenants, operation, f"{kind} {operation.scopes[0]}") for kind in ("key", "token")]
    assert {each.status_code for each in answers} == {415 if operation.method == "POST" else 200}


@pytest.mark.parametrize("operation", GUARDED, ids=lambda each: each.name)
@pytest.mark.parametrize("kind", ["key other", "token other"])
def test_another_tenant_sees_nothing_of_this_one(tenants, operation, kind):
    """With every right in the other tenant: what is named here is unknown there, what is shared is theirs."""
    answer = ask(tenants, operation, kind)
    due = {"metrics": 401, "decision": 404}.get(operation.name, 415 if operation.method == "POST" else 200)
    assert (answer.status_code, "NORTH" in answer.text, "EUR" in answer.text) == (due, False, False)


def test_a_service_of_one_workspace_takes_tokens_beside_keys(template, tmp_path, file):
    """Without tenants no claim names one; without a key or token nothing opens, though no key was made."""
    place = shutil.copytree(template, tmp_path / "workspace")
    oauth = {"oauth_jwks": file, "oauth_issuer": ISSUER, "oauth_audience": AUDIENCE}
    workspace = Workspace.open(Settings(workspace=place, clock="snapshot", **oauth))
    with serve_locally(workspace) as local:
        shown = (None, token(scope="score"), token(scope="events"), token(scope=""))
        answers = [httpx.get(f"{local.address}/v1/customers/ann", headers=bearer(text)) for text in shown]
    assert [each.status_code for each in answers] == [401, 200, 403, 403]


def test_the_other_edwards_curve_is_taken_too():
    """Ed448 signs as EdDSA and is no weaker."""
    key = public_key("EdDSA", ed448.Ed448PrivateKey.generate())
    assert list(read_keys(json.dumps({"keys": [key]}))) == ["EdDSA"]
