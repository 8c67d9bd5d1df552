"""Offers on real purchases: `make bench-offers DATA=DIR [FINAL=--final] [ONLY="--only window sample"]`.

Protocols, each runnable apart (`--only PROTOCOL`, `--only DATASET` or `--only PROTOCOL:DATASET`):

    next_basket    `{user: [[item, …], …]}` and keysets: the last basket, and what is new in it
    window         what everyone buys in the weeks after a cut in time, new and known items apart; cold start,
                   candidate sources, calibration
    alike          customers of whom attributes are all that is known, beside popularity
    last_basket    the last basket of a customer in products, customers split at random
    next_purchase  the next order after each order, with and without the purchases since the night folded in
    ablation       each candidate source and feature group left out, at the newest validation cut of `window`
    training       seconds and memory of `barista train` for the offers model

Choices are made on validation users, customers and earlier cuts; `--final` reads the test and adds a line to
docs/figures/looks.jsonl. Snapshots are kept in BENCH_WORK where it is set. Every case is written to
docs/figures/offers, the goals to docs/figures/offers.json; `python -m tests.docs.generating` renders the page.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from recsys.data.snapshot import Snapshot
from recsys.data.truncate import until
from recsys.errors import NotEnoughData
from tests.benchmarks import (
    offers_ablation,
    offers_alike,
    offers_baskets,
    offers_last,
    offers_purchases,
    offers_training,
)
from tests.benchmarks.figures import log_look, write_figures
from tests.benchmarks.offers_cases import MODEL, OfferCase
from tests.benchmarks.offers_data import (
    Question,
    Source,
    cuts_of,
    first_customers,
    questions_of,
    snapshot_of,
    sources,
    wanted,
)
from tests.benchmarks.offers_goals import all_goals
from tests.benchmarks.offers_windows import window_case
from training.tables import Pasts

THREADS = 2
COMMAND = "make bench-offers"


def windows(question: Question, snapshot: Snapshot, *, final: bool) -> Iterator[OfferCase]:
    """A case a cut."""
    cuts, end = cuts_of(question, snapshot, final=final)
    split, pasts = "test" if final else "validation", Pasts(until(snapshot, end).snapshot, threads=THREADS)
    for cut in cuts:
        yield window_case(question.data, question.item_level, split, pasts, cut, question.horizon_days, end)


Measure = Callable[..., Iterator[OfferCase]]
BY_PROTOCOL: dict[str, tuple[str, Measure]] = {
    "window": ("window", windows),
    "alike": ("window", offers_alike.cases),
    "last_basket": ("last_basket", offers_last.cases),
    "next_purchase": ("next_purchase", offers_purchases.cases),
    "ablation": ("window", offers_ablation.cases),
    "training": ("window", offers_training.cases),
}
"""Protocol → the questions it answers, and how."""


def measured(source: Source, arguments: argparse.Namespace, work: Path) -> Iterator[OfferCase]:
    """All cases of one data set."""
    for question in questions_of(source.name):
        for protocol, (asked, measure) in BY_PROTOCOL.items():
            name = f"{protocol}:{source.name}"
            named = any(each.startswith(protocol) for each in arguments.only)
            optional = protocol in ("ablation", "training")
            if asked != question.protocol or not wanted(name, arguments.only) or (optional and not named):
                continue
            snapshot = snapshot_of(source, question.item_level, work)
            if arguments.customers:
                snapshot = first_customers(snapshot, arguments.customers)
            try:
                yield from measure(question, snapshot, final=arguments.final)
            except NotEnoughData as error:
                print(f"{name}: left out. {error.message()}", flush=True)


def everything(arguments: argparse.Namespace, work: Path) -> Iterator[OfferCase]:
    """All cases asked for."""
    if wanted("next_basket", arguments.only):
        yield from offers_baskets.cases(Path(arguments.data), arguments.final, prototype=arguments.prototype)
    for source in sources(Path(arguments.data)):
        yield from measured(source, arguments, work)


def parsed() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("BENCH_DATA"), help="folder with the files")
    parser.add_argument("--final", action="store_true", help="read the test and log the look")
    parser.add_argument("--only", nargs="*", default=[], help="protocols, data sets, or protocol:data set")
    parser.add_argument("--customers", type=int, default=0, help="only so many, for trying out; nothing is written")
    parser.add_argument("--prototype", action="store_true", help="next_basket: also the ranker on prototype features")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("--data or BENCH_DATA: a folder with the data")
    return arguments


def main() -> None:
    """Measure, print, write."""
    arguments = parsed()
    with TemporaryDirectory() as scratch:
        work = Path(os.environ.get("BENCH_WORK") or scratch)
        start = time.perf_counter()
        for case in everything(arguments, work):
            print(f"## {case.protocol}: {case.name} ({time.perf_counter() - start:.0f} s)\n{shown(case)}", flush=True)
            start = time.perf_counter()
            if not arguments.customers:
                case.save()
                if arguments.final:
                    log_look([MODEL], {case.name: shown(case)})
    if not arguments.customers:
        write_figures("offers", all_goals(COMMAND))


def shown(case: OfferCase) -> str:
    """The tables of a case in a few lines."""
    parts = []
    for table in case.tables:
        for contender in table.contenders:
            figures = " ".join(f"{row.name} {row.value:.4f}" for row in contender.rows if row.value is not None)
            parts.append(f"{table.part} ({table.customers}) | {contender.name} | {figures}")
    parts += [f"{name}: {row}" for name, rows in case.lists.items() for row in rows]
    return "\n".join([*parts, *(f"{name}: {value:.4g}" for name, value in case.facts.items())])


if __name__ == "__main__":
    main()
