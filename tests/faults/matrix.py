"""The fault matrix: what breaks, what happens then, which figures say so."""

from dataclasses import dataclass
from typing import Any

from tests.benchmarks.figures import FIGURES, read_figures


@dataclass(frozen=True)
class Row:
    """One line of the matrix.

    short   the test that shows it in `make test`
    file    `docs/figures/<file>.json`, written by a module of `make faults`
    about   how the names of its figures begin; all of the file's by default
    """

    breaks: str
    happens: str
    short: str
    file: str
    about: str = ""


ROWS = (
    Row(
        "all workers are killed (`kill -9`) under load",
        "nothing acknowledged is lost: events and decisions are in the database or in a journal, which the next worker "
        "uploads",
        "tests/serving/test_outages.py",
        "faults_kill",
    ),
    Row(
        "the power fails right after an answer",
        "nothing acknowledged is lost: `fsync` had returned for SQLite's log, the journal or Postgres' log before the "
        "answer left, as a trace of the system calls shows",
        "tests/serving/test_synced.py",
        "faults_sync",
    ),
    Row(
        "the disk of the database (SQLite) is full",
        "writes answer 507 with `Retry-After`; reads go on, fresh; offers are kept in the journal; `/health/ready` "
        "says `degraded`; heals as soon as there is space",
        "tests/serving/test_full_disk.py",
        "faults_disk",
        "full disk of the database:",
    ),
    Row(
        "the disk of database and journal is full",
        'the same, and offers say `recorded: false`, counted in `barista_decisions_total{kept="lost"}`',
        "tests/serving/test_full_disk.py",
        "faults_disk",
        "full disk of the database and journal:",
    ),
    Row(
        "the disk of Postgres' tables is full",
        "as with SQLite: writes answer 507, reads go on, offers are kept in the journal",
        "tests/serving/test_full_disk.py",
        "faults_disk_postgres",
        "full disk of Postgres (tables):",
    ),
    Row(
        "the disk of all of Postgres is full, its log too",
        "the same; when the server falls (Postgres does when its log can't grow), as with one that is down, until what "
        "supervises it has started it again",
        "tests/serving/test_full_disk.py",
        "faults_disk_postgres",
        "full disk of Postgres (server):",
    ),
    Row(
        "the database is down: connections are reset",
        "writes, with a key and without, erasures, exports and decisions asked for by their id answer 503 with "
        "`Retry-After`; offers, with a key too, and scores come from the snapshot alone, `stale: true`; "
        "`/health/ready` says `degraded`; heals by itself",
        "tests/serving/test_outages.py",
        "faults_outage",
        "database down:",
    ),
    Row(
        "the database is down when the service starts",
        "it starts, answers as above (`BARISTA_API_KEY` opens, keys of the database do not yet) and heals; who is "
        "erased is known from the last reading kept in `erased.json`, without one everybody is a stranger",
        "tests/serving/test_outages.py",
        "faults_start",
    ),
    Row(
        "the database is stalled: accepts everything, answers nothing",
        "the same, after the first request waited: 1.5 s where nothing can be said without the database, half of "
        "`database_patience` (0.5 s) where it can, an offer that is being recorded 1 s",
        "tests/serving/test_outages.py",
        "faults_outage",
        "database stall:",
    ),
    Row(
        "the network to the database is cut: neither side hears of the other again, nor that it left",
        "the same; what was under way is ended by the server after three times `database_patience`, so that its locks "
        "hold nobody up",
        "tests/serving/test_outage_errors.py",
        "faults_outage",
        "database cut off:",
    ),
    Row(
        "Postgres refuses: ended connections, none left, read only, a timeout of its own",
        "what can't be done is refused by 503 with `Retry-After`, reads go on; one that can only be read is down",
        "tests/serving/test_outage_errors.py",
        "faults_refusing",
        "Postgres",
    ),
    Row(
        "single connections to the database are reset",
        "after a single reset the connection is replaced within the request, and nobody notices; under ten resets a "
        "second much of what needs the database is refused by 503 with `Retry-After`, while offers and scores go on",
        "tests/serving/test_outages.py",
        "faults_outage",
        "connections reset:",
    ),
    Row(
        "another program holds SQLite locked",
        "as with a database that is down, for writes; offers are kept in the journal",
        "tests/serving/test_decisions.py",
        "faults_outage",
        "SQLite locked:",
    ),
    Row(
        "the clock jumps hours ahead or back under load",
        "nothing is lost, no id is given twice; limits, kept answers and keys go by the clock as it is now, so nobody "
        "is locked out",
        "tests/serving/test_clock_jumps.py",
        "faults_clock",
    ),
    Row(
        "a worker dies in the middle of a journal line",
        "the whole lines before it are uploaded; that line was never acknowledged",
        "tests/store/test_decisions.py",
        "faults_steps",
        "journal cut",
    ),
    Row(
        "the service is killed at any step of an erasure, or right after it acknowledged one",
        "all of the customer is there or all is gone; a repetition finishes it; no byte of the id is in the database's "
        "files, and no import or upload brings anything back",
        "tests/serving/test_erasure_steps.py",
        "faults_steps",
        "erasure killed",
    ),
    Row(
        "a migration is killed at any statement",
        "the tables stay at the former version, whole; the next start migrates them",
        "tests/store/test_migrations.py",
        "faults_steps",
        "migration killed",
    ),
    Row(
        "a new champion is bad: truncated, bits flipped, 4 KiB zeroed, other features, NaN leaves, golden rows that "
        "fail, another signature, a link, too large, a file missing, a newer format, another model",
        "the last good one serves with the same bits; `/health/ready` says `degraded` and why, so do a log line and "
        "`barista_refusals_total`; a bundle that takes down the process that opens it takes a child",
        "tests/serving/test_swaps.py",
        "faults_bundles",
    ),
    Row(
        "MLflow is not there at the start, is lost, stalls, is slow, answers garbage, or gives files that break off or "
        "are a web page",
        "the last good bundles serve; the puller says so in the log and by `barista_registry_reached`, of files that "
        "are a web page by `/health/ready` and `barista_refusals_total`, and takes up what is new when MLflow is back, "
        "from a slow one slowly; an alias moved back answers with the former version's bits",
        "tests/serving/test_puller.py",
        "faults_mlflow",
    ),
    Row(
        "a challenger is broken, fails or is slow",
        "no answer differs and none fails, `GET /v1/shadow` says why; one with 20 times the trees takes time from the "
        "answers beside it: the slow ones take longer",
        "tests/serving/test_shadow.py",
        "faults_challengers",
    ),
    Row(
        "champions are swapped under load",
        "no request fails, no answer mixes versions, answers go on leaving: a new one is tried by a child, opened by a "
        "thread that stands back behind the one that answers, and swapped whole",
        "tests/serving/test_swaps.py",
        "faults_swaps",
    ),
    Row(
        "requests are malformed",
        "each is answered as documented, by a problem unless the change left it proper, none by a 5xx",
        "tests/contracts",
        "faults_malformed",
    ),
    Row(
        "two tenants use the same ids",
        "no answer holds anything of the other",
        "tests/serving",
        "faults_tenants",
    ),
    Row(
        "five times more requests than it can answer",
        "a worker takes on `most_requests`, up to four times as many for five seconds, and refuses more by 503 with "
        "`Retry-After` at once, before anything is made of them; those taken on are answered in time, `/health/ready` "
        "and `/metrics` too",
        "tests/serving/test_admission.py",
        "faults_overload",
        "five times the peak:",
    ),
    Row(
        "half an hour at 70% of the peak of the moment",
        "no error, no drift of memory",
        "tests/serving/test_soak.py",
        "faults_soak",
    ),
)


def matrix_table() -> str:
    """The matrix as a table of Markdown."""
    rows = ["| what breaks | what happens | measured | date | by | in `make test` |", "|---|---|---|---|---|---|"]
    for row in ROWS:
        figures = figures_of(row)
        dates = ", ".join(sorted({each["date"] for each in figures})) or "not yet"
        commands = "<br>".join(f"`{each}`" for each in sorted({each["command"] for each in figures}))
        measured = "<br>".join(_said(row, each) for each in figures)
        rows.append(f"| {row.breaks} | {row.happens} | {measured} | {dates} | {commands} | `{row.short}` |")
    return "\n".join(rows)


def figures_of(row: Row) -> list[dict[str, Any]]:
    """The figures that say what a row says; none before they were measured."""
    path = FIGURES / f"{row.file}.json"
    found = read_figures(path) if path.exists() else []
    return [each for each in found if each["name"].startswith(row.about)]


def _said(row: Row, figure: dict[str, Any]) -> str:
    """A figure in few words; one that fails stands out."""
    value = figure["value"]
    number = value if isinstance(value, str) else f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    asked = f" ({figure['asked']})" if figure["asked"] else ""
    text = f"{figure['name'].removeprefix(row.about).strip()}: {number} {figure['unit']}".strip() + asked
    return f"**{text}: does not hold**" if figure["holds"] is False else text
