"""What `barista train` costs for the offers model: all three fits and both judgements, in a process of its own."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from recsys.data.snapshot import Snapshot
from tests.benchmarks.measure import run_child
from tests.benchmarks.offers_cases import MODEL, OfferCase
from tests.benchmarks.offers_data import Question
from training.backtesting import SEED
from training.fitting import fit_models


def cases(question: Question, snapshot: Snapshot, *, final: bool) -> Iterator[OfferCase]:
    """CPU seconds and peak memory of training on everything; reads no target, so `final` changes nothing."""
    if final:
        return
    with TemporaryDirectory() as scratch:
        saved = snapshot if snapshot.directory else snapshot.save(Path(scratch))
        child = run_child(["-m", __name__, str(saved.directory)])
    seconds, why = child.output.strip().splitlines()[-1].split(" ", 1)
    costs: dict[str, float | None] = {"CPU s to train": float(seconds), "peak MB": child.peak_mb}
    print(why, flush=True)
    history = snapshot.history
    facts = {"customers": float(history.n_customers), "lines": float(history.n_lines)}
    facts["items"] = float(snapshot.catalogue.n_items)
    yield OfferCase("training", question.data, question.item_level, "", 0, "validation", (), {MODEL: costs}, facts)


def main(directory: Path) -> None:
    """Train the offers model on a snapshot and say how much CPU time it took."""
    result = fit_models(Snapshot.open(directory), ("offers",), seed=SEED, threads=2)
    why = result.trained[0].verdict.why if result.trained else str(result.outcomes)
    print(f"{time.process_time():.1f} {why}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
