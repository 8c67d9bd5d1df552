"""Canaries sent through every path are found where they belong and nowhere else."""

import signal
from io import BytesIO
from itertools import product
from threading import Thread

import jwt
import polars as pl

from recsys.data.forgetting import forgetting
from recsys.registry import Registry, RunRecord
from recsys.settings import Settings
from recsys.store import KeyStore
from recsys.testing import builders
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace, tenants_of
from tests.docs.http_parts import known_operations
from tests.faults.proxy import fault_proxy
from tests.serving import signing
from tests.serving.collecting import traced
from tests.serving.test_processes import CLIENT, serving
from tests.serving.two_tenants import make_tenants

CANARY = "canary4711"
MAIL = "canary4711@example.org"


def requests(purchase, operation):
    """Requests to an operation with canaries in every place: right ones and wrong ones."""
    path = operation.template.replace("{customer_id}", MAIL).replace("{decision_id}", CANARY)
    odd = [{"customer_id": [CANARY]}, {CANARY: CANARY}, {"context": {MAIL: MAIL}}, {"events": [{MAIL: CANARY}]}]
    bodies = {
        "recommend": [
            {"customer_id": MAIL, "exclude": [CANARY], "reasons": True},
            {"customer_id": MAIL, "mode": CANARY},
            {"customer_id": MAIL, "attributes": {CANARY: CANARY}},
        ],
        "report": [
            {"events": [purchase(CANARY, MAIL, CANARY, order_id=CANARY, store_id=CANARY)]},
            {"events": [purchase(CANARY, MAIL, "tea", occurred_at=CANARY)]},
        ],
    }
    for body in [*bodies.get(operation.name, [None]), *odd]:
        yield operation.method, path, {} if body is None else {"json": body}
    for key in (CANARY, MAIL):
        yield operation.method, path, {"params": {"search": MAIL, key: CANARY}}
    yield operation.method, f"{path}/{CANARY}", {}
    yield operation.method, path, {"content": f'{{"customer_id": "{MAIL}'.encode()}


def reading(process) -> tuple[list[str], Thread]:
    """Lines of the log as they come, and what reads them: a full pipe would hold the service up."""
    lines: list[str] = []
    reader = Thread(target=lambda: lines.extend(process.stderr))
    reader.start()
    return lines, reader


def errors_of(address, purchase, right):
    """Status and body of every error that requests to every operation get, with the right key and without."""
    shown = (right, {"Authorization": f"Bearer {CANARY}"}, right | {"Idempotency-Key": CANARY})
    for operation in known_operations():
        for (method, path, more), headers in product(requests(purchase, operation), shown):
            answer = CLIENT.request(method, address + path, headers=headers, **more)
            if answer.status_code >= 400:
                yield answer.status_code, answer.text


def test_no_log_line_metric_or_error_holds_a_canary(make_workspace, purchase):
    """Every operation, right and wrong requests, with a key and without: logs, metrics and error bodies are clean."""
    workspace = make_workspace()
    key, _ = KeyStore(workspace.database()).create("test", ["admin"])
    right = {"Authorization": f"Bearer {key}"}
    with serving(workspace, "--log-level", "debug") as (process, address):
        lines, reader = reading(process)
        errors = [text for _, text in errors_of(address, purchase, right)]
        metrics = CLIENT.get(f"{address}/metrics", headers=right).text
        process.send_signal(signal.SIGTERM)
        reader.join(20)
    log = "".join(lines)
    assert len(errors) > 50
    assert ("/v1/customers/{customer_id}" in log, CANARY in log, key in log) == (True, False, False)
    assert ("barista_requests_total" in metrics, CANARY in metrics) == (True, False)
    assert [text for text in errors if CANARY in text] == []


def test_no_log_line_metric_or_error_of_an_outage_holds_a_canary(impatient, make_workspace, postgres, purchase):
    """The same with the database lost after it was told of a canary: what fails then names nobody either."""
    database = postgres.new_database().partition("?")[0].rpartition("/")[2]
    right = {"Authorization": "Bearer " + "k" * 43}
    with fault_proxy(postgres.socket) as proxy:
        where = f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{database}?sslmode=disable&gssencmode=disable"
        environment = {"DATABASE_URL": where, "BARISTA_API_KEY": "k" * 43}
        with serving(make_workspace(), "--log-level", "debug", **environment) as (process, address):
            lines, reader = reading(process)
            told = CLIENT.post(f"{address}/v1/events", headers=right, json={"events": [purchase(CANARY, MAIL)]})
            proxy.set("down")
            errors = list(errors_of(address, purchase, right))
            metrics = CLIENT.get(f"{address}/metrics", headers=right).text
            process.send_signal(signal.SIGTERM)
            reader.join(20)
    log, texts = "".join(lines), [text for _, text in errors]
    assert (told.status_code, {401, 404, 422, 503} <= {status for status, _ in errors}) == (200, True)
    assert ("database lost" in log, "barista_requests_total" in metrics) == (True, True)
    assert [text[:200] for text in (log, metrics, *texts) if CANARY in text or "k" * 43 in text] == []


def test_no_span_holds_a_canary(make_workspace, purchase):
    """Every operation, right and wrong requests, with headers of a trace that name a canary: spans are clean."""
    workspace = make_workspace()
    key, _ = KeyStore(workspace.database()).create("test", ["admin"])
    trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": f"shop={CANARY}", "baggage": f"id={CANARY}"}
    right = {"Authorization": f"Bearer {key}"} | trace
    shown = (right, {"Authorization": f"Bearer {CANARY}", "traceparent": CANARY}, right | {"Idempotency-Key": CANARY})
    with traced(workspace) as service:
        for operation in known_operations():
            for (method, path, more), headers in product(requests(purchase, operation), shown):
                service.http.request(method, path, headers=headers, **more)
        texts = [span.to_json() for span in service.told()]
    names = " ".join(texts)
    assert (len(texts) > 200, "/v1/customers/{customer_id}/scores" in names, "ranking" in names) == (True, True, True)
    assert [text for text in texts if CANARY in text or key in text] == []


def spoilt_tokens():
    """Tokens about a canary that open nothing: unsigned, a stranger's, expired, another tenant's, another issuer's."""
    about = {"sub": MAIL, "tenant": "north", "email": MAIL, "scope": f"score {CANARY}"}
    yield jwt.encode(signing.claims(**about), None, "none", {"kid": CANARY})
    yield signing.token(pair=signing.STRANGER, **about)
    yield signing.token(**about | {"exp": 1})
    yield signing.token(**about | {"tenant": CANARY})
    yield signing.token(**about | {"iss": MAIL})
    yield f"ey{CANARY}.{CANARY}.{CANARY}"


def test_no_log_line_metric_or_error_holds_a_canary_of_a_token(tmp_path, purchase):
    """Tokens in order and spoilt ones about a canary, on a service of tenants: logs, metrics and errors are clean."""
    jwks = signing.write_keys(tmp_path / "jwks.json")
    oauth = {"ISSUER": signing.ISSUER, "AUDIENCE": signing.AUDIENCE, "JWKS": str(jwks)}
    environment = {f"BARISTA_OAUTH_{name}": value for name, value in oauth.items()} | {"BARISTA_API_KEY": "o" * 43}
    workspace = tenants_of(make_tenants(tmp_path / "tenants"))["north"]
    right = [signing.token(sub=MAIL, tenant=name, email=MAIL, scope=f"admin {CANARY}") for name in ("north", "south")]
    shown, errors = [*right, *spoilt_tokens()], []
    with serving(workspace, "--tenants", str(tmp_path / "tenants"), "--log-level", "debug", **environment) as (
        process,
        where,
    ):
        lines, reader = reading(process)
        for operation in known_operations():
            for (method, path, more), text in product(requests(purchase, operation), shown):
                headers = {"Authorization": f"Bearer {text}"}
                answer = CLIENT.request(method, where + path, headers=headers, **more)
                errors += [answer.text] if answer.status_code >= 400 else []
        metrics = CLIENT.get(f"{where}/metrics", headers={"Authorization": "Bearer " + "o" * 43}).text
        process.send_signal(signal.SIGTERM)
        reader.join(20)
    log = "".join(lines)
    told = [log, metrics, *errors]
    assert ('"tenant":"south"' in log.replace(" ", ""), "barista_requests_total" in metrics, len(errors) > 100) == (
        True,
        True,
        True,
    )
    assert [text[:200] for text in told if CANARY in text] == []
    assert [text[:200] for text in told for token in shown if token in text] == []


def test_mlflow_holds_no_customer(tmp_path):
    """A model published with the facts of the whole base, attributes too, names none of its customers in MLflow."""
    workspace = Workspace.create(Settings(workspace=tmp_path / "workspace"))
    rows = [f"{CANARY}-{i:02d} tea 2024-03-{i % 28 + 1:02d}T08:00 1x2.10 order=o{i} store=north" for i in range(60)]
    people = pl.DataFrame({"customer_id": [f"{CANARY}-{i:02d}" for i in range(60)], "city": ["Rome", "Oslo"] * 30})
    table = BytesIO()
    people.write_parquet(table)
    known = {"customers.parquet": table.getvalue()}
    snapshot = publish_snapshot(workspace.directory, builders.snapshot(*rows, timezone="UTC"), known)
    publish_models(workspace.directory, ["churn"])
    Registry(workspace.settings).publish("churn", workspace.bundles / "churn" / "1", RunRecord(), snapshot)
    files = [workspace.directory / "mlflow.db", *(workspace.directory / "mlruns").rglob("*")]
    contents = {path: path.read_bytes() for path in files if path.is_file()}
    assert {"manifest.json", "Lookalikes.lift.npy"} <= {path.name for path in contents}
    assert [path.name for path, content in contents.items() if CANARY.encode() in content] == []


def test_a_canary_erased_is_not_found_in_a_snapshot_that_holds_it():
    """Erasing hides what the files still hold, for the erased only."""
    rows = [f"{CANARY} tea 2024-03-01T08:00 1x2.10 order=o1", "bob tea 2024-03-01T08:00 1x2.10 order=o2"]
    snapshot = builders.snapshot(*rows, timezone="UTC")
    hidden = forgetting(snapshot, lambda customer: snapshot.as_of if customer == CANARY else None)
    assert [hidden.customers.index(each) >= 0 for each in (CANARY, "bob")] == [False, True]
