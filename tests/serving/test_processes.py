"""`python -m serving` as a process: what it loads, how it starts, forks and ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from multiprocessing.connection import wait
from pathlib import Path

import httpx
import polars as pl
import pytest

from recsys.data.told import told_files
from recsys.store import Database
from recsys.testing.published import publish_snapshot
from tests.serving.test_state import wait_for

CLIENT = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
"""A new connection for each request, so that any worker may take it."""

HEAVY = {"mlflow", "pandas", "sklearn", "lightgbm", "matplotlib", "implicit"}


@contextmanager
def serving(workspace, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """A service process and its address."""
    command = [sys.executable, "-m", "serving", "--workspace", str(workspace.directory), "--port", "0", *options]
    process = subprocess.Popen(
        [*command, "--clock", "snapshot"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        line = process.stdout.readline()
        yield process, re.search(r"http://\S+", line)[0] if line else ""
    finally:
        process.terminate()
        process.communicate(timeout=20)


def loaded_by(code: str) -> set[str]:
    """Top-level modules loaded after `code` in a fresh interpreter."""
    tell = "import sys, json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    text = subprocess.run([sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, check=True).stdout
    return set(json.loads(text.splitlines()[-1]))


def test_a_worker_loads_nothing_heavy(make_workspace):
    """Opening, warming and answering load neither MLflow, pandas, scikit-learn, LightGBM, matplotlib nor readers."""
    directory = str(make_workspace().directory)
    code = f"""
from recsys.settings import load_settings
from serving.http.running import Running
from serving.http.service import Service
from serving.http.app import create_app
running = Running.open(load_settings(workspace={directory!r}, clock="snapshot"))
create_app(running.state)
assert Service(running.state).score("ann", reasons=True).churn is not None
"""
    assert loaded_by(code) & (HEAVY | {"polars", "pyarrow"}) == set()


def test_a_forked_worker_imports_nothing(make_workspace):
    """What a worker needs to begin was imported before the fork, so that workers share its memory."""
    code = f"""
import signal, sys
from recsys.settings import load_settings
from serving.http import running as its
class Begun(its.uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(sorted(set(sys.modules) - before), flush=True)
        signal.raise_signal(signal.SIGTERM)
def run_workers(count, work):
    global before
    before = set(sys.modules)
    work()
its.run_workers, its.uvicorn.Server = run_workers, Begun
running = its.Running.open(load_settings(workspace={str(make_workspace().directory)!r}, workers=2, port=0))
with running.listen() as listening:
    running.run(listening)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert told.splitlines()[-1] == "[]"


def test_a_worker_reads_costs_and_attributes_without_a_table_reader(make_workspace):
    """Where costs and attributes were imported, answers that tell them load no Polars either."""
    workspace = make_workspace()
    snapshot = workspace.current_snapshot()
    products = pl.DataFrame({"product_id": list(snapshot.catalogue.products), "unit_cost": 1.0})
    customers = pl.DataFrame({"customer_id": ["ann"], "acquisition_cost": [7.5], "city": ["Kyiv"]})
    ids = {"product_id": snapshot.catalogue.products, "customer_id": snapshot.customers}
    publish_snapshot(workspace.directory, snapshot, told_files(products, customers, ids))
    code = f"""
from recsys.settings import load_settings
from serving.http.running import Running
from serving.http.service import Service
from serving.http.people import People
running = Running.open(load_settings(workspace={str(workspace.directory)!r}, clock="snapshot"))
told = People(Service(running.state)).export("ann")
worth = told.scores.value.worth
assert (worth.historic_margin, worth.acquisition_cost, told.attributes["city"]) == (11.8, 7.5, "Kyiv"), told
"""
    assert loaded_by(code) & (HEAVY | {"polars", "pyarrow"}) == set()


def test_importing_the_commands_loads_nothing_heavy():
    """`barista --help` stays quick."""
    assert loaded_by("import serving.score_command, serving.serve_command") & (HEAVY | {"numba", "fastapi"}) == set()


def test_it_says_where_it_answers_and_for_whom(make_workspace):
    """The first line names the address; without a key it says that only this machine is served."""
    with serving(make_workspace()) as (_, address):
        assert CLIENT.get(f"{address}/health/ready").json()["status"] == "ok"


def test_an_open_door_is_refused_at_start(make_workspace):
    """An address beyond this machine without a key ends the process with one line that names the setting."""
    with serving(make_workspace(), "--host", "0.0.0.0") as (process, _):
        assert process.wait(20) == 1
        assert "BARISTA_API_KEY" in process.stderr.read()


def test_a_missing_workspace_is_one_line(tmp_path: Path):
    """No workspace: exit code 1 and a cure, no traceback."""
    command = [sys.executable, "-m", "serving", "--workspace", str(tmp_path / "none")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, len(ended.stderr.splitlines()), "barista import" in ended.stderr) == (1, 1, True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_ends_it_gracefully(make_workspace, workers):
    """Told to end, it finishes with exit code 0 and nothing of it is left."""
    with serving(make_workspace(), "--workers", workers) as (process, address):
        CLIENT.get(f"{address}/health/live")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        with pytest.raises(httpx.ConnectError):
            CLIENT.get(f"{address}/health/live")


def sent(address: str, path: str, body: dict) -> HTTPConnection:
    """A connection over which a request was sent whose answer is still to be read."""
    where = httpx.URL(address)
    connection = HTTPConnection(where.host, where.port, timeout=30)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    return connection


def unread(address: str) -> list[int]:
    """Bytes that lie unread at the service, one number for each of its open connections (Linux)."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("needs /proc to see what the service has read")
    rows, end = [line.split() for line in table.read_text().splitlines()[1:]], f":{httpx.URL(address).port:04X}"
    return [int(row[4].partition(":")[2], 16) for row in rows if row[1].endswith(end) and row[3] == "01"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_finishes_requests_in_flight(make_workspace, purchase: Callable, workers):
    """Events and offers that wait for a locked database when the end is told are answered and kept; then it ends."""
    workspace = make_workspace()
    with serving(workspace, "--workers", workers) as (process, address):
        CLIENT.get(f"{address}/health/ready")
        with Database.open(workspace.directory / "barista.db").writing():
            asked = [("/v1/events", {"events": [purchase()]}), ("/v1/recommendations", {"customer_id": "ann"})]
            flying = [sent(address, *each) for each in asked]
            assert wait_for(lambda: unread(address) == [0, 0])
            process.send_signal(signal.SIGTERM)
            assert wait([each.sock for each in flying], 0.5) == []
        answers = [each.getresponse() for each in flying]
        told = [json.loads(answer.read()) for answer in answers]
        assert ([answer.status for answer in answers], process.wait(10)) == ([200, 200], 0)
    assert (told[0]["accepted"], list(workspace.events().instants_of(["e1"]))) == (1, ["e1"])
    assert workspace.decisions().find(told[1]["decision_id"]) is not None


def test_sigterm_does_not_wait_for_a_stuck_request(make_workspace):
    """A body that never comes holds the end up for less than the ten seconds a container is given by default."""
    with serving(make_workspace()) as (process, address):
        where = httpx.URL(address)
        with socket.create_connection((where.host, where.port)) as connection:
            head = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
            connection.sendall(head + b"Content-Type: application/json\r\n\r\n")
            CLIENT.get(f"{address}/health/live")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


def test_a_purchase_told_to_one_worker_counts_at_every_other(make_workspace, purchase: Callable):
    """Each of many connections, whichever worker takes it, sees an acknowledged purchase in its next answer."""
    with serving(make_workspace(), "--workers", "2") as (_, address):
        answer = CLIENT.post(f"{address}/v1/events", json={"events": [purchase()]})
        counted = [CLIENT.get(f"{address}/v1/customers/ann").json()["orders"] for _ in range(12)]
        assert (answer.json()["accepted"], counted) == (1, [4] * 12)


def test_metrics_are_those_of_all_workers(make_workspace):
    """Whichever worker is asked tells what all of them counted; a second later everything."""
    with serving(make_workspace(), "--workers", "2", BARISTA_REFRESH_SECONDS="3600") as (_, address):
        for _ in range(10):
            CLIENT.get(f"{address}/v1/models")
        end, told = time.monotonic() + 20, ""
        while 'route="/v1/models",status="200"} 10.0' not in told and time.monotonic() < end:
            time.sleep(0.1)
            told = CLIENT.get(f"{address}/metrics").text
        assert 'route="/v1/models",status="200"} 10.0' in told


def test_a_worker_that_dies_is_replaced(make_workspace):
    """Killed workers come back; the service goes on."""
    with serving(make_workspace(), "--workers", "2") as (process, address):
        killed = children(process.pid)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert CLIENT.get(f"{address}/health/ready").json()["status"] == "ok"
        assert not set(children(process.pid)) & set(killed)


def children(pid: int) -> list[int]:
    """Processes started by `pid` (Linux)."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("needs /proc to find the workers")
    return [int(each) for each in path.read_text().split()]


def test_every_line_of_the_log_is_json(make_workspace):
    """Also what the server under the service has to say about bytes that are no HTTP."""
    with serving(make_workspace()) as (process, address):
        where = httpx.URL(address)
        with socket.create_connection((where.host, where.port), timeout=20) as connection:
            connection.sendall(b"no http at all\r\n\r\n")
            while connection.recv(65_536):
                pass
        process.send_signal(signal.SIGTERM)
        process.wait(15)
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert "uvicorn.error" in [line.get("library") for line in lines]


def test_log_lines_hold_no_personal_data(make_workspace, purchase: Callable):
    """Ids, products and values that went through every path are in no log line."""
    canary = "canary4711"
    with serving(make_workspace(), "--log-level", "debug") as (process, address):
        CLIENT.get(f"{address}/v1/customers/{canary}")
        CLIENT.get(f"{address}/v1/customers", params={"search": canary})
        CLIENT.post(f"{address}/v1/recommendations", json={"customer_id": canary, "mode": canary})
        CLIENT.post(f"{address}/v1/events", json={"events": [purchase(canary, canary, canary)]})
        process.send_signal(signal.SIGTERM)
        process.wait(15)
        log = process.stderr.read()
    assert ("/v1/customers/{customer_id}" in log, canary in log) == (True, False)
