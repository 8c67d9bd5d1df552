"""Postgres down, stalled, cut off, reset behind a proxy: how long until writes are refused, until all is well again."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from recsys.store import Database
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.killing import lost, start
from tests.faults.outage_load import LIMIT, READS, REFUSED, WRITES, Told, asking, calm_after
from tests.faults.proxy import FaultProxy, Mode, fault_proxy
from tests.faults.workspaces import small_workspace
from tests.postgres import PostgresServer, running_postgres

COMMAND = "make faults FAULTS='-k outage'"
ROUNDS = 10
LOADED = 4
"""Rounds under load of several clients."""

CLIENTS = 6
BROKEN = 2.5
"""How long a fault lasts under load [s]."""

RESETS = 100
RESETTING = 10.0
"""How long connections are reset under load, ten times a second [s]."""

NAMES: dict[Mode, str] = {"down": "database down", "stall": "database stall", "hole": "database cut off"}
SAID = {
    "report": "503 of a write",
    "keyed": "503 of a keyed write",
    "erase": "503 of an erasure",
    "export": "503 of an export",
    "decision": "503 of a decision asked for by its id",
}
Act = Callable[[], object]


@pytest.mark.timeout(1_000)
def test_outages_are_short_and_lose_nothing() -> None:
    """Writes are refused within 2 s, kept again within 5 s of the end; reads go on."""
    figures = run()
    write_figures("faults_outage", figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


def run() -> list[dict[str, Any]]:
    """Each fault on a running service of two workers, found by a client alone ten times, then by several at once."""
    with running_postgres() as server:
        broken = [each for mode in NAMES for each in _broken(server, mode)]
        return [*broken, *_reset(server), *_locked()]


class Serving(NamedTuple):
    """A service process of two workers, and what breaks its database."""

    proxy: FaultProxy
    workspace: Path
    address: str
    database: str
    end: Callable[[], None]

    def losses(self, what: str, *told: Told) -> list[dict[str, Any]]:
        """What was promised and is nowhere, looked up past the proxy when the service has ended."""
        self.end()
        return _losses(what, told, self.workspace, self.database)


@contextmanager
def _proxied(server: PostgresServer) -> Iterator[Serving]:
    """A service whose Postgres stands behind a proxy; `database` is the way past it."""
    database = server.new_database()
    name = database.partition("?")[0].rpartition("/")[2]
    with ExitStack() as stack:
        proxy = stack.enter_context(fault_proxy(server.socket))
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "workspace"
        small_workspace(workspace)
        running = stack.enter_context(ExitStack())
        behind = f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/{name}?sslmode=disable&gssencmode=disable"
        address = running.enter_context(_running(workspace, behind))
        yield Serving(proxy, workspace, address, database, running.close)


@contextmanager
def _running(workspace: Path, database: str | None) -> Iterator[str]:
    process, address = start(workspace, address=database)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(15)


def _broken(server: PostgresServer, mode: Mode) -> list[dict[str, Any]]:
    alone, loaded, what = Rounds(), Rounds(), NAMES[mode]
    with _proxied(server) as serving:
        break_it, mend = partial(serving.proxy.set, mode), partial(serving.proxy.set, "pass")
        with httpx.Client(base_url=serving.address, timeout=60) as http:
            for number in range(ROUNDS):
                alone.one(break_it, mend, http, f"{mode}-{number}")
        loaded.told.kept.decisions += alone.told.kept.decisions[-2:]
        for number in range(LOADED):
            loaded.under_load(break_it, mend, serving.address, f"load-{number}")
        lost_ones = serving.losses(what, alone.told, loaded.told)
    return [*alone.figures(f"{what}:"), *loaded.figures(f"{what}: {CLIENTS} clients at once,"), *lost_ones]


class Rounds:
    """Outages of one kind, one after the other; reads are `marked` stale in one, unless they can be fresh."""

    def __init__(self, needing: tuple[str, ...] = REFUSED, *, marked: bool = True) -> None:
        self._needing, self._marked = needing, marked
        self.told = Told()
        self.recovered: list[float] = []
        self.wrong = 0

    def one(self, break_it: Act, mend: Act, http: httpx.Client, prefix: str) -> None:
        """Break, ask for everything, mend, write until all is kept. The kinds take turns in finding the outage."""
        for kind in ("report", "offers"):
            assert self.told.ask(kind, http, f"{prefix}-before").status == 200
        self.told.stands = self.told.kept.decisions[-1]  # later ones wait in the journal, where they are found
        break_it()
        turn = next(TURNS) % len(self._needing)
        for kind in (*self._needing[turn:], *self._needing[:turn]):
            self.wrong += not self.told.ask(kind, http, f"{prefix}-{kind}").refused
            for read in READS:
                self.wrong += not self.told.ask(read, http, f"{prefix}-{kind}-{read}").stale and self._marked
        mend()
        began = time.perf_counter()
        for kind in WRITES:
            while self.told.ask(kind, http, f"{prefix}-{kind}").status != 200 and time.perf_counter() - began < LIMIT:
                time.sleep(0.05)
        self.recovered.append(time.perf_counter() - began)

    def under_load(self, break_it: Act, mend: Act, address: str, prefix: str) -> None:
        """Break and mend while several clients ask; what was asked and answered in between met the outage."""
        with asking(address, CLIENTS, prefix, self.told):
            time.sleep(0.7)
            break_it()
            broken = time.perf_counter()
            time.sleep(BROKEN)
            mended = time.perf_counter()
            mend()
            self.recovered.append(calm_after(mended, self.told))
        met = [each for each in self.told.answers if broken < each.began and each.ended < mended]
        self.wrong += sum(not each.stale for each in met if each.kind in READS)
        self.wrong += sum(each.status == 200 for each in met if each.kind in WRITES)

    def figures(self, what: str) -> list[dict[str, Any]]:
        """What was measured."""
        told, marked = self.told, self._marked
        wrong = self.wrong + sum(not each.documented for each in told.answers)
        times = [(f"slowest {SAID[kind]}", told.slowest(kind, refused=True), 2) for kind in self._needing]
        times += [
            ("slowest answer to offers under a key", told.slowest("keyed offers"), 2),
            ("slowest read" + ", marked stale" * marked, told.slowest("offers", "scores"), 2),
            ("slowest recovery of writes", max(self.recovered), 5),
        ]
        counts = [("answers other than 503" + ", or reads not marked" * marked, wrong)]
        counts.append(("offers kept nowhere", told.unrecorded))
        found = [figure(f"{what} {name}", value, "s", COMMAND, at_most=most) for name, value, most in times]
        return found + [figure(f"{what} {name}", value, "", COMMAND, at_most=0) for name, value in counts]


def _losses(what: str, told: tuple[Told, ...], workspace: Path, database: str | None) -> list[dict[str, Any]]:
    promised, gone = [0, 0], [0, 0]
    for each in told:
        kept = each.kept
        kept.events[:], kept.decisions[:] = sorted(set(kept.events)), sorted(set(kept.decisions))
        missing = lost(workspace, kept, database)
        promised = [promised[0] + len(kept.events), promised[1] + len(kept.decisions)]
        gone = [gone[0] + missing[0], gone[1] + missing[1]]
    return [
        figure(f"{what}: acknowledged events lost", gone[0], f"of {promised[0]}", COMMAND, at_most=0),
        figure(f"{what}: recorded decisions lost", gone[1], f"of {promised[1]}", COMMAND, at_most=0),
    ]


def _reset(server: PostgresServer) -> list[dict[str, Any]]:
    """All connections broken again and again, new ones let through: between requests, then under load."""
    alone, loaded, wrong, what = Told(), Told(), 0, "connections reset"
    with _proxied(server) as serving:
        with httpx.Client(base_url=serving.address, timeout=60) as http:
            for number in range(RESETS):
                serving.proxy.reset()
                wrong += alone.ask("report", http, f"reset-{number}").status != 200
                serving.proxy.reset()
                wrong += alone.ask("offers", http, f"reset-{number}").stale
        loaded.kept.decisions += alone.kept.decisions[-2:]
        with asking(serving.address, CLIENTS, "reset", loaded):
            end = time.monotonic() + RESETTING
            while time.monotonic() < end:
                time.sleep(0.1)
                serving.proxy.reset()
            recovered = calm_after(time.perf_counter(), loaded)
        lost_ones = serving.losses(what, alone, loaded)
    many, said = f"{what}: {CLIENTS} clients at once,", f"of {len(loaded.answers)}"
    odd, refused = sum(not a.documented for a in loaded.answers), sum(a.refused for a in loaded.answers)
    return [
        figure(
            f"{what}: writes refused, reads stale or unrecorded",
            wrong + alone.unrecorded,
            f"of {2 * RESETS}",
            COMMAND,
            at_most=0,
        ),
        figure(f"{many} answers other than 200 or 503", odd, said, COMMAND, at_most=0),
        figure(f"{many} refused", refused, said, COMMAND),
        figure(f"{many} slowest answer", loaded.slowest(*REFUSED, *READS), "s", COMMAND, at_most=2),
        figure(f"{many} slowest recovery of writes", recovered, "s", COMMAND, at_most=5),
        *lost_ones,
    ]


def _locked() -> list[dict[str, Any]]:
    """SQLite in the hands of another program: it can be read all the while."""
    seen, what = Rounds(WRITES, marked=False), "SQLite locked"
    with tempfile.TemporaryDirectory() as place:
        workspace = Path(place) / "workspace"
        other = Database.open(small_workspace(workspace).directory / "barista.db")
        with _running(workspace, None) as address, httpx.Client(base_url=address, timeout=60) as http:
            for number in range(ROUNDS):
                block = ExitStack()
                seen.one(partial(block.enter_context, other.writing()), block.close, http, f"lock-{number}")
        other.close()
        return [*seen.figures(f"{what}:"), *_losses(what, (seen.told,), workspace, None)]


TURNS = cycle(range(len(REFUSED)))
"""Which kind finds the next outage."""
