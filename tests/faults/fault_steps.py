"""Processes killed at every step: erasures, migrations, and journals cut at every byte."""

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from recsys.errors import StoreError
from recsys.store import Database, Event, EventStore, Journal
from recsys.store.migrate import BASE, HEAD
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure
from tests.faults.erasing import decision, erase, fill, killed_at_each_step, upload
from tests.faults.stepwise import die_at, steps_of
from tests.postgres import PostgresServer, running_postgres

COMMAND = "make faults FAULTS='-k step'"
LINES = 6


@pytest.mark.timeout(900)
def test_whatever_is_killed_at_any_step_is_whole_or_not_at_all() -> None:
    """Erasures and migrations on SQLite and Postgres; whole lines of a journal and no other come out of it."""
    with running_postgres() as server, tempfile.TemporaryDirectory() as place:
        kinds = {"SQLite": _files(Path(place)), "Postgres": _databases(server)}
        figures = [each for name, addresses in kinds.items() for each in _killed(name, addresses, Path(place))]
        figures.append(_journal(Path(place)))
    write_figures("faults_steps", figures)
    assert [figure["name"] for figure in figures if figure["holds"] is False] == []


def _files(place: Path) -> Iterator[str]:
    return (f"sqlite:///{place}/{number}.db" for number in count())


def _databases(server: PostgresServer) -> Iterator[str]:
    return (server.new_database() for _ in count())


def _killed(name: str, addresses: Iterator[str], place: Path) -> list[dict[str, Any]]:
    first = next(addresses)
    fill(first)
    steps = steps_of(erase, first)
    faults = killed_at_each_step(addresses, place / name)
    moves, wrong = _migrations(addresses)
    title = f"killed at any step, {name}"
    return [
        figure(
            f"erasure {title}: customers half erased, left or come back", len(faults), f"of {steps}", COMMAND, at_most=0
        ),
        figure(f"migration {title}: tables of no version, or rows lost", wrong, f"of {moves}", COMMAND, at_most=0),
    ]


def _migrations(addresses: Iterator[str]) -> tuple[int, int]:
    """How often a migration from the first version was killed, and how often what was left is not that version."""
    first = next(addresses)
    _at_first_version(first)
    steps, wrong = steps_of(_forward, first), 0
    for step in range(1, steps + 1):
        address = next(addresses)
        _at_first_version(address)
        wrong += not (die_at(_forward, address, step) and _whole(address))
    return steps, wrong


def _at_first_version(address: str) -> None:
    """Tables of the first version with an event in them."""
    database = Database.open(address)
    EventStore(database).append([Event("e1", "ann", "purchase", 10)])
    database.migrate("0001")
    database.close()


def _forward(database: Database) -> object:
    return database.migrate(HEAD)


def _whole(address: str) -> bool:
    """Whether the tables are of the first or the newest version, and the next start brings them to the newest."""
    database = Database.unprepared(address)
    try:
        before, after = database.migrate(HEAD)
        return before in {"0001", HEAD} and after == HEAD and before != BASE and EventStore(database).count() == 1
    except StoreError:
        return False
    finally:
        database.close()


def _journal(place: Path) -> dict[str, Any]:
    """Cut a journal at every byte, upload it, and compare with the lines that were whole."""
    journal = Journal(place / "journal")
    records = [decision(number, "bob") for number in range(LINES)]
    journal.append(records)
    journal.release()
    (path,) = journal.waiting()
    content, wrong = path.read_bytes(), 0
    for length in range(len(content) + 1):
        folder = place / "cut" / str(length)
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_bytes(content[:length])
        with Journal(folder).claimed(folder / "a.jsonl") as left:
            found = None if left is None else list(left)
            whole = content[:length].count(b"\n")
            wrong += found is None or [each.decision_id for each in found][:whole] != _ids(records[:whole])
            wrong += found is not None and len(found) > whole + 1
    _uploaded(place, path, records)
    said = f"of {len(content) + 1}"
    return figure("journal cut at any byte: whole lines lost, or others read", wrong, said, COMMAND, at_most=0)


def _uploaded(place: Path, path: Path, records: list[Any]) -> None:
    """An upload repeated after it was cut off keeps each once."""
    database = Database.open(place / "uploaded.db")
    content = path.read_bytes()
    for _ in range(2):
        path.write_bytes(content)
        upload(Journal(path.parent), database)
    kept = database.fetch("SELECT count(*) FROM decisions", ())[0][0]
    database.close()
    assert kept == len(records)


def _ids(records: list[Any]) -> list[str]:
    return [each.decision_id for each in records]
