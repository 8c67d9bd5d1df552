"""Churn and value on real histories: `make bench-scores DATA=DIR [FINAL=--final]`.

Every mapping in docs/mappings whose file lies somewhere under DIR is a data set, and the packaged sample is one; none
is known by name. The first half of a history is for choices: its last three fifths in three windows, and its second
half as one long window that has to be carried there. `--final` judges on the second half of the history: three windows
that fill it, and all of it as one long window seen from the middle; each look is logged in docs/figures/looks.jsonl.
"""

import argparse
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from recsys.data.clock import DAY
from recsys.data.mapping import Mapping
from recsys.data.mapping_file import read_mapping
from recsys.data.snapshot import Snapshot
from recsys.data.truncate import until
from recsys.samples import complete_journey
from recsys.settings import Settings
from recsys.workspace import Workspace
from tests.benchmarks.figures import FIGURES, log_look, read_figures, write_figures
from tests.benchmarks.score_cases import Case, churn_case, value_case
from tests.benchmarks.scores_goals import goals
from training.backtesting import data_end
from training.importing import import_into
from training.tables import Pasts
from training.windows import first_order

CASES = FIGURES / "scores"
ROOT = FIGURES.parents[1]
SAMPLE = "sample"
"""Name of the packaged data set."""

MODELS = ("churn", "value")
THREADS = 2


def data_sets(directory: Path, chosen: list[str]) -> Iterator[tuple[str, Snapshot]]:
    """Name and snapshot of each data set found; `chosen` names some of them, none means all."""
    for path in sorted((ROOT / "docs" / "mappings").glob("*.toml")):
        files = [next(iter(sorted(directory.rglob(each.name))), None) for each in read_mapping(path).transactions.files]
        known = [each for each in files if each is not None]
        if (not chosen or path.stem in chosen) and known and len(known) == len(files):
            with TemporaryDirectory() as scratch:
                for file in (path, *known):
                    copyfile(file, Path(scratch) / file.name)
                yield path.stem, imported(read_mapping(Path(scratch) / path.name), Path(scratch))
    if not chosen or SAMPLE in chosen:
        with TemporaryDirectory() as scratch:
            yield SAMPLE, imported(complete_journey.mapping(), Path(scratch))


def imported(mapping: Mapping, directory: Path) -> Snapshot:
    """Snapshot of a mapping, in a workspace of its own."""
    return import_into(Workspace.create(Settings(workspace=directory / "workspace")), mapping).snapshot


def halves(snapshot: Snapshot, *, final: bool) -> tuple[Snapshot, list[tuple[str, int, int]]]:
    """What may be read, and the questions: (model, cut [s], horizon [days])."""
    first, end = first_order(snapshot.history), data_end(snapshot)
    middle = _day_end(first + (end - first) // 2, end)
    if final:
        begin, stop, known = middle, end, snapshot
    else:
        begin, stop, known = _day_end(first + 2 * (middle - first) // 5, end), middle, until(snapshot, middle).snapshot
    days = int((stop - begin) // DAY)
    short = days // 3
    cuts = [begin + k * short * DAY for k in range(3)]
    long = begin if final else _day_end(first + (middle - first) // 2, end)
    questions = [(model, cut, short) for cut in cuts for model in ("churn", "value")]
    return known, [*questions, ("value", long, int((stop - long) // DAY))]


def _day_end(instant: int, end: int) -> int:
    """The last end of a business day at or before `instant`, `end` being one [s]."""
    return end - -(-(end - instant) // DAY) * DAY


def run(name: str, snapshot: Snapshot, models: Collection[str], *, final: bool) -> list[Case]:
    """All cases of a data set about `models`."""
    known, questions = halves(snapshot, final=final)
    pasts, split = Pasts(known, threads=THREADS), "test" if final else "validation"
    stop = max(cut + days * DAY for _, cut, days in questions)
    cases = []
    for model, cut, days in (each for each in questions if each[0] in models):
        start = time.perf_counter()
        case = (churn_case if model == "churn" else value_case)(name, split, pasts, cut, days, stop)
        print(f"{case.name}: {time.perf_counter() - start:.0f} s", flush=True)
        cases.append(case)
    return cases


def main() -> None:
    """Measure, write the cases and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("BENCH_DATA"), help="folder with the files")
    parser.add_argument("--final", action="store_true", help="judge on the second half and log the look")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=MODELS, help="default both")
    parser.add_argument("--only", nargs="*", default=[], help="names of mappings; default all that are found")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("--data or BENCH_DATA: a folder with the files that docs/mappings name")
    CASES.mkdir(parents=True, exist_ok=True)
    split = "test" if arguments.final else "validation"
    command = "make bench-scores" + (" FINAL=--final" if arguments.final else "")
    for name, snapshot in data_sets(Path(arguments.data), arguments.only):
        cases = run(name, snapshot, arguments.models, final=arguments.final)
        keep_cases(CASES / f"{name}.{split}.json", cases, arguments.models)
        asked = [each for case in cases for each in goals(case, command)]
        if arguments.final:
            log_look(arguments.models, {each["name"]: str(each["value"]) for each in asked})
        write_figures("scores", [*others(name, split, arguments.models), *asked])


def keep_cases(path: Path, cases: list[Case], models: Collection[str]) -> None:
    """Write `cases` beside those of other models that the file holds."""
    known = msgspec.json.decode(path.read_bytes(), type=list[Case]) if path.exists() else []
    kept = [each for each in known if each.model not in models]
    path.write_bytes(msgspec.json.format(msgspec.json.encode([*kept, *cases]), indent=1) + b"\n")


def others(name: str, split: str, models: Collection[str]) -> list[dict[str, Any]]:
    """Figures kept of other data sets, of the other split and of other models."""
    path = FIGURES / "scores.json"
    known = read_figures(path) if path.exists() else []
    replaced = {(name, model, split) for model in models}
    return [each for each in known if (*each["name"].split(", ")[:2], each["split"]) not in replaced]


if __name__ == "__main__":
    main()
