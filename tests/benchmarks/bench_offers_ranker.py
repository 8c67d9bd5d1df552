"""Barista's features and prototype scores under one ranker, on a next-basket problem.

Rows of users whose targets may be learned from are made out of fold: the facts a row is made of never saw its target.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.decisioning.gather import catalogue_arrays, scratch_for
from recsys.evaluation.baskets_data import Baskets, Floats, Indices, Scorer
from recsys.evaluation.next_basket import LONGEST, Items, Lists, Problem, truth_for
from recsys.features.pairs import N_PAIR_FEATURES, PAIR_FEATURES, pair_rows
from recsys.features.personal import clean, own_items, point_to_items
from recsys.population.fit import fit_population
from tests.benchmarks.bench_offers_scores import Seen, item_facts, scores_of
from tests.benchmarks.bench_offers_snapshot import snapshot_of
from training.trees import Rows, TreeSettings, grow

FOLDS, MISSES, CHUNK, MOST_OWN = 5, 0.1, 500, 100
"""Folds of the learned-from users; share of the misses that trees see; users at a time; own items ranked."""

NEW_LISTS = {
    "adoption_now": 60,
    "near_targets": 50,
    "wide_targets": 80,
    "ridge": 50,
    "ridge_new": 50,
    "next_all": 40,
    "history_target": 40,
}
"""Candidate lists of new items: score and length."""

TREES = TreeSettings(
    objective="binary",
    metric="binary_logloss",
    trees=300,
    parameters={
        "num_leaves": 15,
        "learning_rate": 0.05,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 20.0,
        "min_data_in_leaf": 50,
    },
)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Rows of the asked users: features (n, n_features), position in `asked`, item, bought before, all (n,)."""

    X: npt.NDArray[np.float32]
    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    names: tuple[str, ...]

    def thinned(self, kept: npt.NDArray[np.bool_]) -> "Candidates":
        """The rows of the mask."""
        return Candidates(self.X[kept], self.user[kept], self.item[kept], self.known[kept], self.names)


def candidates_of(problem: Problem) -> Candidates:
    """Candidates of the asked users with all features."""
    seen = Seen.of(problem)
    facts, groups = item_facts(seen), scores_of(seen)
    scores = {name: score for group in groups.values() for name, score in group.items()}
    scores["ridge_sum"] = lambda users: scores["ridge"](users) + seen.rate
    scores["ridge_new_sum"] = lambda users: scores["ridge_new"](users) + facts["adoption_now"]
    parts = list(_parts(problem.asked, seen, scores, facts["adoption_now"]))
    user, item, values = (np.concatenate(each) for each in zip(*parts, strict=True))
    base, known = _base_rows(problem, user, item)
    named = np.stack([each[item] for each in facts.values()], axis=1).astype(np.float32)
    return Candidates(np.hstack([base, named, values]), user, item, known, (*PAIR_FEATURES, *facts, *scores))


def _parts(asked: Indices, seen: Seen, scores: dict[str, Scorer], adoption: Floats) -> Iterator[Any]:
    """(user, item, scores) of candidates, some users at a time."""
    for start in range(0, len(asked), CHUNK):
        users = asked[start : start + CHUNK]
        found = {name: score(users) for name, score in scores.items()}
        known = np.asarray(seen.counts[users].toarray()) > 0
        lists = found | {
            "adoption_now": np.tile(adoption, (len(users), 1)),
            "ridge": found["ridge_sum"],
            "ridge_new": found["ridge_new_sum"],
            "next_all": found["next_all"] + 3 * seen.rate,
        }
        chosen = _largest(np.where(known, found["own_faded_0.95"], -1.0), MOST_OWN) & known
        for name, length in NEW_LISTS.items():
            chosen |= _largest(np.where(known, -np.inf, lists[name]), length)
        row, item = chosen.nonzero()
        yield row + start, item, np.stack([each[row, item] for each in found.values()], axis=1).astype(np.float32)


def _largest(scores: Floats, n: int) -> npt.NDArray[np.bool_]:
    """Mask of the `n` largest entries of each row."""
    mask = np.zeros(scores.shape, np.bool_)
    np.put_along_axis(mask, np.argpartition(-scores, n, axis=1)[:, :n], True, axis=1)
    return mask


def _base_rows(problem: Problem, user: Indices, item: Indices) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Barista's own features of the pairs, and whether the item was bought before."""
    snapshot = snapshot_of(problem)
    population = fit_population(snapshot)
    start = np.searchsorted(user, np.arange(len(problem.asked) + 1))
    X, known = np.empty((len(user), N_PAIR_FEATURES), np.float32), np.zeros(len(user), np.bool_)
    _fill(
        snapshot.history.arrays(),
        snapshot.history.order_start,
        problem.asked,
        start,
        item,
        snapshot.as_of,
        catalogue_arrays(snapshot.catalogue),
        population.arrays,
        scratch_for(snapshot.catalogue),
        X,
        known,
    )
    return X, known


@numba.njit(nogil=True, error_model="numpy")
def _fill(
    h: Any,
    order_start: Any,
    users: Any,
    start: Any,
    items: Any,
    as_of: int,
    cat: Any,
    population: Any,
    scratch: Any,
    X: Any,
    known: Any,
) -> None:
    for k in range(len(users)):
        low, high = start[k], start[k + 1]
        own = own_items(h, order_start[users[k]], order_start[users[k] + 1], as_of, cat, scratch)
        point_to_items(own, cat, population, scratch)
        pair_rows(own, as_of, cat, population, scratch, items[low:high], high - low, X[low:high])
        for row in range(low, high):
            known[row] = scratch.slot[items[row]] >= 0
        clean(own, cat, scratch)


def out_of_fold(problem: Problem, folds: int = FOLDS, seed: int = 0) -> tuple[Candidates, npt.NDArray[np.bool_]]:
    """Training rows with labels: each fold's targets are taken away before anything is fitted for its users."""
    parts, labels = [], []
    for fold in np.array_split(np.random.default_rng(seed).permutation(problem.learn), folds):
        asked = np.sort(fold)
        rows = candidates_of(without(problem, asked))
        hit = bought(rows, problem.targets, asked)
        kept = hit | (np.random.default_rng(seed + 1).random(len(hit)) < MISSES)
        parts.append(rows.thinned(kept))
        labels.append(hit[kept])
    whole = (np.concatenate([getattr(each, name) for each in parts]) for name in ("X", "user", "item", "known"))
    return Candidates(*whole, parts[0].names), np.concatenate(labels)


def without(problem: Problem, asked: Indices) -> Problem:
    """The problem of asking some learned-from users, as if their targets had not arrived."""
    learn = np.setdiff1d(problem.learn, asked)
    return Problem(problem.history, learn, problem.targets.keep(np.isin(problem.targets.owner, learn)), asked)


def bought(rows: Candidates, targets: Baskets, asked: Indices) -> npt.NDArray[np.bool_]:
    """Whether each row's item is in its user's target."""
    return bought_pairs(rows.user, rows.item, targets, asked)


def bought_pairs(user: Any, item: Any, targets: Baskets, asked: Indices) -> npt.NDArray[np.bool_]:
    """Whether each item (n,) is in the target of its user, a position in `asked` (n,)."""
    truth = truth_for(targets, asked)
    owner = np.repeat(np.arange(len(asked)), truth.sizes)
    pairs = np.asarray(user, np.int64) * targets.n_items + item
    found: npt.NDArray[np.bool_] = np.isin(pairs, owner * targets.n_items + truth.item.astype(np.int64))
    return found


def ranker(problem: Problem, without_features: Collection[str] = (), seeds: Sequence[int] = (0,)) -> Lists:
    """Lists by trees on all features but `without_features`, the mean over seeds."""
    rows, hit = out_of_fold(problem)
    asked = candidates_of(problem)
    kept = [place for place, name in enumerate(rows.names) if name not in without_features]
    score = np.zeros(len(asked.item))
    for seed in seeds:
        score += raw_score(rows.X[:, kept], hit, asked.X[:, kept], seed)
    return ranked(asked, score, len(problem.asked))


def raw_score(
    X: npt.NDArray[np.float32], hit: npt.NDArray[np.bool_], asked: npt.NDArray[np.float32], seed: int
) -> Floats:
    """Log-odds of the rows `asked` by trees grown on `X`; the misses stand for those thinned out."""
    from recsys.models.forest import Forest

    names = tuple(f"f{place}" for place in range(X.shape[1]))
    weight = np.where(hit, 1.0, 1.0 / MISSES)
    grown = grow(Rows(X, np.where(hit, 1.0, 0.0), weight), names, TREES, seed=seed, threads=2)
    return Forest.from_text(grown.text).raw(asked)


def ranked(rows: Candidates, score: Floats, n_users: int) -> Lists:
    """The best-scored rows of each user, over all items and over the new ones."""
    everything = np.ones(len(score), np.bool_)
    return Lists(*(_top(rows, score, mask, n_users) for mask in (everything, ~rows.known)))


def _top(rows: Candidates, score: Floats, mask: npt.NDArray[np.bool_], n_users: int) -> Items:
    user, item, value = rows.user[mask], rows.item[mask], score[mask]
    order = np.lexsort((item, -value, user))
    user, item = user[order], item[order]
    rank = np.arange(len(user)) - np.searchsorted(user, np.arange(n_users))[user]
    out = np.full((n_users, LONGEST), -1, np.int32)
    out[user[rank < LONGEST], rank[rank < LONGEST]] = item[rank < LONGEST]
    return out
