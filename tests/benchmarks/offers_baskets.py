"""Next basket and next novel basket on files of baskets without dates: baselines, the product's model, the prototype.

A folder may hold one `*baskets.json[.gz]` and its `*keyset*.json[.gz]` files. Choices are made on users in no keyset's
test part, in five folds: each is asked once while the targets of the others may be learned from.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recsys.evaluation.baskets_data import Baskets, Indices, Keyset, read_baskets, read_keyset
from recsys.evaluation.baskets_methods import BASELINES
from recsys.evaluation.beyond_accuracy import beyond_accuracy
from recsys.evaluation.bootstrap import Interval
from recsys.evaluation.next_basket import (
    Lists,
    Measured,
    Method,
    Problem,
    difference_over,
    final_problem,
    mean_over,
    measure,
    open_users,
    problem_of,
)
from recsys.evaluation.ranking import Truth
from recsys.evaluation.results import Contender, Difference, MetricRow, MetricTable
from tests.benchmarks.bench_offers_ranker import ranker
from tests.benchmarks.offers_cases import MODEL, Meter, OfferCase, metered
from tests.benchmarks.offers_product import product

FOLDS = 5
"""Parts of the validation users."""

PROTOTYPE = "ranker, all prototype features"

TOP = 10


class Asked(NamedTuple):
    """A problem and what the asked users really took."""

    problem: Problem
    truth: Truth


class Run(NamedTuple):
    """One method on all problems: figures per user, what it cost, what its lists look like."""

    measured: tuple[Measured, ...]
    cost: dict[str, float | None]


def cases(directory: Path, final: bool, *, prototype: bool = False) -> Iterator[OfferCase]:
    """The case of every file of baskets under the folder."""
    for path in sorted(directory.rglob("*baskets.json*")):
        keysets = sorted(path.parent.glob("*keyset*.json*"))
        if keysets:
            yield case(path.name.partition("_baskets")[0], path, keysets, final, prototype=prototype)


def case(name: str, path: Path, keysets: Sequence[Path], final: bool, *, prototype: bool) -> OfferCase:
    """All methods on one file."""
    baskets = read_baskets(path)
    read = [read_keyset(each, baskets) for each in keysets]
    asked = test_users(baskets, read) if final else validation(baskets, read)
    methods: dict[str, Method] = {MODEL: product, **BASELINES}
    if prototype:
        methods[PROTOTYPE] = ranker
    runs = {name: run(method, asked) for name, method in methods.items()}
    tables = tuple(table(part, runs, baskets.n_users) for part in ("mixed", "new"))
    costs = {name: each.cost for name, each in runs.items()}
    return OfferCase("next_basket", name, "", "", 0, "test" if final else "validation", tables, costs)


def folds_of(users: Indices, seed: int = 0) -> list[Indices]:
    """The users in FOLDS parts of equal size."""
    drawn = np.random.default_rng(seed).permutation(users)
    return [np.sort(part) for part in np.array_split(drawn, FOLDS)]


def validation(baskets: Baskets, keysets: Sequence[Keyset]) -> list[Asked]:
    """Each fold of the open users asked, the targets of the other folds learned from; no test user's target is read."""
    users = open_users(baskets, keysets)
    return [Asked(*problem_of(baskets, np.setdiff1d(users, fold), fold)) for fold in folds_of(users)]


def test_users(baskets: Baskets, keysets: Sequence[Keyset]) -> list[Asked]:
    """The test users of each keyset asked."""
    return [Asked(*final_problem(baskets, keyset)) for keyset in keysets]


def run(method: Method, asked: Sequence[Asked]) -> Run:
    """Figures of a method on every problem."""
    meter, lists = Meter(), []
    with metered(meter):
        lists = [method(problem) for problem, _ in asked]
    measured = tuple(measure(found, *each) for found, each in zip(lists, asked, strict=True))
    n_asked = sum(len(problem.asked) for problem, _ in asked)
    cost = {"CPU s a problem": meter.seconds / len(asked), "CPU ms a user": 1e3 * meter.seconds / n_asked}
    return Run(measured, {**cost, "peak MB": meter.peak_mb} | looks(lists, asked))


def looks(lists: Sequence[Lists], asked: Sequence[Asked]) -> dict[str, float | None]:
    """Coverage, popular share and novelty of the first ten, means over the problems."""
    found: list[Mapping[str, float]] = []
    for each, (problem, _) in zip(lists, asked, strict=True):
        counts = problem.history.counts()
        buyers = np.bincount(counts.indices, minlength=problem.history.n_items)
        mixed, new = (beyond_accuracy(part[:, :TOP], buyers, counts.shape[0]) for part in (each.mixed, each.new))
        found.append({**mixed, **{f"new {name}": value for name, value in new.items()}})
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


def table(part: str, runs: Mapping[str, Run], n_users: int) -> MetricTable:
    """One mode; users are resampled once across the problems they are asked in."""
    names = tuple(getattr(next(iter(runs.values())).measured[0], part))
    contenders = tuple(
        Contender(
            name,
            "model" if name in (MODEL, PROTOTYPE) else "baseline",
            tuple(MetricRow(key, *figures_of(each, part, key, n_users)) for key in names),
        )
        for name, each in runs.items()
    )
    others = [name for name in runs if name != MODEL]
    differences = tuple(
        Difference(key, MODEL, name, *difference_over(runs[MODEL].measured, runs[name].measured, part, key, n_users))
        for name in others
        for key in names
        if key.endswith("@10")
    )
    return MetricTable(part, sum(len(each.asked) for each in runs[MODEL].measured), contenders, differences)


def figures_of(done: Run, part: str, key: str, n_users: int) -> Interval:
    """Mean over the problems with its interval."""
    return mean_over([(each.asked, getattr(each, part)[key]) for each in done.measured], n_users)
