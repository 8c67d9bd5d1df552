"""The product's own candidates, features and trees on a next-basket problem, strictly out of fold.

The problem is told as purchases in time (`bench_offers_snapshot`). Rows of users whose targets may be learned from are
made fold by fold: the facts of the base behind a row were fitted without the targets of its fold.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recsys.decisioning.candidates import MIXED, NEW
from recsys.decisioning.gather import OffersTable, offers_table
from recsys.evaluation.next_basket import LONGEST, Lists, Problem
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.forest import Forest
from recsys.population.fit import fit_population
from tests.benchmarks.bench_offers_ranker import bought_pairs, without
from tests.benchmarks.bench_offers_snapshot import snapshot_of
from tests.benchmarks.offers_windows import Ranked, top
from training.offers import TREES
from training.trees import Rows, grow, leafy

FOLDS, MISSES, THREADS = 5, 0.15, 2
"""Folds of the learned-from users; share of the misses that the trees see; threads."""

SPACING = 14
"""Days between two baskets of a user, who have none in the data: a grocer's usual gap. See `snapshot_of`."""

Mask = npt.NDArray[np.bool_]


def product(problem: Problem, left_out: frozenset[str] = frozenset(), seed: int = 0) -> Lists:
    """Lists by the product's trees, grown without the features `left_out`."""
    X, hit = training_rows(problem, seed)
    score = grown(X, hit, left_out, seed)
    asked = {mode: table_of(problem, mode) for mode in (MIXED, NEW)}
    lists = [top(ranked(each, score), len(problem.asked), LONGEST) for each in asked.values()]
    return Lists(*lists)


def table_of(problem: Problem, mode: int) -> OffersTable:
    """Candidates and features of the asked users, from what is known without their targets."""
    snapshot = snapshot_of(problem, SPACING)
    population = fit_population(snapshot, threads=THREADS)
    return offers_table(snapshot, population, snapshot.as_of, problem.asked, mode=mode, threads=THREADS)


def training_rows(problem: Problem, seed: int) -> tuple[npt.NDArray[np.float32], Mask]:
    """Features of all hits and some misses of the learned-from users, and which are hits."""
    rows, hits = [], []
    for fold in np.array_split(np.random.default_rng(seed).permutation(problem.learn), FOLDS):
        asked = np.sort(fold)
        table = table_of(without(problem, asked), MIXED)
        hit = bought_pairs(table.customer, table.item, problem.targets, asked)
        kept = hit | (np.random.default_rng(seed + 1).random(len(hit)) < MISSES)
        rows.append(table.X[kept])
        hits.append(hit[kept])
    return np.concatenate(rows), np.concatenate(hits)


def grown(X: npt.NDArray[np.float32], hit: Mask, left_out: frozenset[str], seed: int) -> Forest:
    """Trees with the product's settings, their number fixed at the most the product grows."""
    settings = replace(leafy(TREES, len(hit)), patience=None)
    if left_out:
        shares = [0.0 if name in left_out else 1.0 for name in PAIR_FEATURES]
        settings = replace(settings, parameters={**settings.parameters, "feature_contri": shares})
    weight = np.where(hit, 1.0, 1.0 / MISSES)
    rows = Rows(X, np.where(hit, 1.0, 0.0), weight)
    return Forest.from_text(grow(rows, PAIR_FEATURES, settings, seed=seed, threads=THREADS).text)


def ranked(table: OffersTable, score: Forest) -> Ranked:
    """Scored candidates; probabilities are not asked for."""
    raw = score.raw(table.X)
    return Ranked(table.customer, table.item, table.sources, raw, raw)
