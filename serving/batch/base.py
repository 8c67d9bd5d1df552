"""The whole base scored: every customer's answers, by the functions that answer requests, as three tables."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from recsys.data.clock import to_iso
from recsys.data.files import replace_text
from recsys.data.ids import ABSENT
from recsys.data.looks import Look, looks_since
from recsys.data.tail import OrderEvent
from recsys.data.told import told_ids
from recsys.decisioning.answers import Mode, Novelty, OfferRequest
from recsys.decisioning.words import Language
from recsys.errors import StoreError, WorkspaceError
from recsys.workspace import Workspace
from recsys.workspace.places import note_place
from serving.answers import Answers, open_answers, versions_of
from serving.batch.files import Format, TableFile, create
from serving.batch.publish import put_in_place, staging
from serving.batch.rows import TABLES, Answered, rows_of, schema
from serving.batch.withdrawing import Withdrawn, withdraw
from serving.runs import ScoreRun, write_run
from serving.warming import warm

SLICE = 32
"""Customers a thread takes at once."""

Events = Mapping[str, Sequence[OrderEvent]]


class Reported(NamedTuple):
    """What was reported of each customer up to the start of a run: orders, and looks that still say something."""

    orders: Events
    looks: Mapping[str, Sequence[Look]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run shall contain: offers a customer, mode and novelty, reasons and their language, file format.

    chunk  customers held in memory at once
    """

    n: int = 10
    mode: Mode = "mixed"
    reasons: bool = True
    language: Language = "en"
    format: Format = "parquet"
    chunk: int = 2_000
    novelty: Novelty = field(default_factory=Novelty)


@dataclass(frozen=True, slots=True)
class Published:
    """A finished run: where it is, what its manifest says, and what was taken out of former ones."""

    directory: Path
    manifest: dict[str, Any]
    withdrawn: tuple[Withdrawn, ...] = ()


def score_base(
    workspace: Workspace,
    out: Path,
    wanted: Wanted | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Published:
    """Write churn, value, next purchase and top offers of every customer to `out`, whole or not at all.

    Customers are those of the snapshot and those known from events alone; events up to the start of the run count.
    Who is in the customers table and has not bought has no row; the manifest says how many they are.
    `progress` gets customers done and in all. The run becomes the workspace's last one. Who was erased is taken out of
    former runs in other places too.

    Raises:
        WorkspaceLocked: an import, training or another run is at work.
        WorkspaceError: `out` holds something else, or no model is published.
        SnapshotError, BundleError, StoreUnavailable: there is nothing to score from.
    """
    wanted = wanted or Wanted()
    with workspace.writing(), staging(out) as work:
        ledger = workspace.erasures().ledger()
        answers = open_answers(workspace, ledger.tombstones.erased_at)
        _check_models(answers)
        warm(answers)
        tail = workspace.events().last_sequence()
        as_of, store = workspace.as_of(answers.snapshot), workspace.events()
        reported = Reported(store.orders_by_customer(upto=tail), store.looks_by_customer(looks_since(as_of), tail))
        customers = everyone(answers, reported.orders)
        run = _run(answers, as_of, tail, wanted, len(customers))
        note_place(workspace, out, run.run_id)  # before anything can be there that names somebody
        written = _write(work, answers, run, wanted, customers, reported, workspace.settings.threads, progress)
        silent = without_purchases(answers, reported.orders)
        manifest = _manifest(answers, run, wanted, written, silent) | {"erasures": ledger.mark()}
        put_in_place(work, out, manifest)
        _record(workspace, run, manifest)
        withdrawn = _withdrawn(workspace, out)
    return Published(out, manifest, withdrawn)


def _withdrawn(workspace: Workspace, out: Path) -> tuple[Withdrawn, ...]:
    """What was taken out of former runs; that nobody could be asked who is erased takes nothing from this one."""
    try:
        return tuple(withdraw(workspace))
    except StoreError as error:
        return (Withdrawn(out, fault=f"Nobody was taken out of former runs. {error}"),)


def _check_models(answers: Answers) -> None:
    if not answers.models():
        raise WorkspaceError(
            "There is no model to score with",
            expected="at least one of offers, churn and value",
            cure="Run `barista check` to see what the data can carry, then `barista train`",
        )


def everyone(answers: Answers, events: Events) -> list[str]:
    """Ids of the snapshot's customers but for those erased, then of those known from events alone."""
    customers = answers.snapshot.customers
    find = customers.index
    fresh = sorted((customer for customer in events if find(customer) == ABSENT), key=str.encode)
    return list(chain((customer for customer in customers if not customers.forgets(customer)), fresh))


def without_purchases(answers: Answers, events: Events) -> int:
    """How many of the customers table have no order, in the snapshot or reported, and are not erased."""
    customers = answers.snapshot.customers
    told = told_ids(answers.snapshot.directory)
    return sum(customers.index(each) == ABSENT and each not in events and not customers.forgets(each) for each in told)


def _write(
    work: Path,
    answers: Answers,
    run: ScoreRun,
    wanted: Wanted,
    customers: Sequence[str],
    reported: Reported,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, int]:
    """Write the tables chunk by chunk into `work`; rows by file name."""
    zone = answers.snapshot.facts.timezone
    with ExitStack() as open_files, ThreadPoolExecutor(threads) as pool:
        tables: dict[str, TableFile] = {}
        for table in TABLES:
            tables[table] = create(work / f"{table}.{wanted.format}", schema(table, zone), wanted.format)
            open_files.callback(tables[table].close)
        for start in range(0, len(customers), wanted.chunk):
            chunk = customers[start : start + wanted.chunk]
            answered = answer_all(answers, run, wanted, chunk, reported, pool)
            for table in TABLES:
                tables[table].write(rows_of(table, answered))
            if progress is not None:
                progress(start + len(chunk), len(customers))
    return {f"{name}.{wanted.format}": file.rows for name, file in tables.items()}


def answer_all(
    answers: Answers,
    run: ScoreRun,
    wanted: Wanted,
    customers: Sequence[str],
    reported: Reported,
    pool: ThreadPoolExecutor,
) -> list[Answered]:
    """Answers for these customers in their sequence; threads take slices, each with its own working memory."""
    offers = "offers" in run.model_versions

    def answer(customer: str) -> Answered:
        """Scores and offers of one customer with the orders and looks reported since the snapshot."""
        tail, looks = reported.orders.get(customer, ()), reported.looks.get(customer, ())
        scores = answers.score(customer, tail, run.as_of, reasons=wanted.reasons, language=wanted.language)
        request = OfferRequest(
            customer,
            n=wanted.n,
            mode=wanted.mode,
            reasons=wanted.reasons,
            language=wanted.language,
            novelty=wanted.novelty,
        )
        timing = answers.timing(customer, tail, run.as_of)
        return Answered(scores, timing, answers.recommend(request, tail, run.as_of, looks) if offers else None)

    def answer_slice(start: int) -> list[Answered]:
        """The answers of `SLICE` customers from `start` on, for one thread."""
        return [answer(customer) for customer in customers[start : start + SLICE]]

    return list(chain.from_iterable(pool.map(answer_slice, range(0, len(customers), SLICE))))


def _run(answers: Answers, as_of: int, tail: int, wanted: Wanted, customers: int) -> ScoreRun:
    """The run's identity: the same state and wishes give the same id."""
    versions = versions_of(answers)
    wishes = [wanted.n, wanted.mode, wanted.reasons, wanted.language, *astuple(wanted.novelty)]
    content = [answers.snapshot.snapshot_id, versions, as_of, tail, *wishes]
    run_id = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    return ScoreRun(
        run_id,
        answers.snapshot.snapshot_id,
        as_of,
        tail,
        versions,
        wanted.n,
        wanted.mode,
        customers=customers,
        **asdict(wanted.novelty),
    )


def _manifest(answers: Answers, run: ScoreRun, wanted: Wanted, written: dict[str, int], silent: int) -> dict[str, Any]:
    facts = answers.snapshot.facts
    models = {
        each.name: {
            "version": each.version,
            "digest": each.digest,
            "kind": each.kind,
            "horizon_days": each.horizon_days,
        }
        for each in answers.models()
    }
    offers = sum(rows for name, rows in written.items() if name.startswith("offers"))
    return {
        "run_id": run.run_id,
        "snapshot_id": run.snapshot_id,
        "as_of": to_iso(run.as_of, facts.timezone),
        "tail_sequence": run.tail_sequence,
        "models": models,
        "n": wanted.n,
        "mode": wanted.mode,
        "novelty": asdict(wanted.novelty),
        "reasons": wanted.reasons,
        "language": wanted.language,
        "currency": facts.currency,
        "timezone": facts.timezone,
        "counts": {"customers": run.customers, "offers": offers, "without_purchases": silent},
        "finished_at": to_iso(int(time.time())),
        "files": {name: {"rows": rows} for name, rows in written.items()},
    }


def _record(workspace: Workspace, run: ScoreRun, manifest: dict[str, Any]) -> None:
    """Make the run the workspace's last: `scores/<run id>/manifest.json` for people, `scores/last.json` for the API."""
    folder = workspace.directory / "scores" / run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False))
    write_run(workspace.directory / "scores", run)
