"""Next basket and next novel basket: what a method may see, what it is measured by, means over keysets.

Li, Jullien, Ariannezhad, de Rijke (2023), "A Next Basket Recommendation Reality Check", ACM TOIS 41(4); the novel
variant as in Li, Ariannezhad, Yates, de Rijke (2023), "Masked and Swapped Sequence Modeling for Next Novel Basket
Recommendation", RecSys: the last basket is the target, users are split by a keyset.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.evaluation.baskets_data import Baskets, Floats, Indices, Keyset, Scorer
from recsys.evaluation.bootstrap import LEVEL, UNDEFINED, Interval
from recsys.evaluation.ranking import Truth, hit_at, ndcg_at, recall_at, split_truth, truth_of_pairs

Items = npt.NDArray[np.int32]

LONGEST = 20
"""Items a list holds."""

CHUNK = 8_000_000
"""Scores held at a time."""

MEASURES: dict[str, Callable[[Items, Truth], Floats]] = {
    f"{name}@{k}": partial(measure, k)
    for k in (10, 20)
    for name, measure in (("recall", recall_at), ("ndcg", ndcg_at), ("PHR", hit_at))
}
"""Figures per user by name, of lists (n, 20) and truth; PHR: at least one hit."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What a method sees: never the target of an asked user.

    history  baskets before the target, all users
    learn    users whose targets may be learned from, positions ascending
    targets  their last baskets; users not in `learn` have none
    asked    users a list is asked for, positions ascending
    """

    history: Baskets
    learn: Indices
    targets: Baskets
    asked: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Items recommended to the asked users, best first, -1 padded, int32 (n_asked, 20).

    mixed  over all items
    new    over items not in the user's history
    """

    mixed: Items
    new: Items


Method = Callable[[Problem], Lists]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Figures of one method on one keyset: `mixed` and `new` by measure, (n_asked,) each, NaN where left out."""

    asked: Indices
    mixed: Mapping[str, Floats]
    new: Mapping[str, Floats]


def problem_of(baskets: Baskets, learn: Indices, asked: Indices) -> tuple[Problem, Truth]:
    """The problem of recommending to `asked` with the targets of `learn` known, and what `asked` really took."""
    last = baskets.is_last()
    history, targets = baskets.keep(~last), baskets.keep(last)
    known = np.zeros(baskets.n_users, np.bool_)
    known[learn] = True
    asked_too = np.zeros(baskets.n_users, np.bool_)
    asked_too[asked] = True
    visible = targets.keep((known & ~asked_too)[targets.owner])
    return Problem(history, np.flatnonzero(known & ~asked_too), visible, np.sort(asked)), truth_for(targets, asked)


def final_problem(baskets: Baskets, keyset: Keyset) -> tuple[Problem, Truth]:
    """Recommend to the keyset's test users; only train users' targets may be learned from."""
    return problem_of(baskets, keyset.train, keyset.test)


def open_users(baskets: Baskets, keysets: Sequence[Keyset]) -> Indices:
    """Users in no keyset's test part: choices are made on them."""
    closed = np.zeros(baskets.n_users, np.bool_)
    for keyset in keysets:
        closed[keyset.test] = True
    return np.flatnonzero(~closed)


def truth_for(baskets: Baskets, users: Indices) -> Truth:
    """Items of `users` over all baskets, one set a user in ascending order of position."""
    place = np.full(baskets.n_users, -1, np.int64)
    place[np.sort(users)] = np.arange(len(users))
    basket, item = baskets.pairs()
    owner = place[baskets.owner[basket]]
    return truth_of_pairs(owner[owner >= 0], item[owner >= 0], len(users))


def lists_by(scorer: Scorer, problem: Problem) -> Lists:
    """Best-scored items, ties to the smaller index."""
    shape = (len(problem.asked), LONGEST)
    mixed, new = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
    owned = problem.history.counts()
    step = max(1, CHUNK // max(1, problem.history.n_items))
    for start in range(0, len(problem.asked), step):
        users = problem.asked[start : start + step]
        scores = np.array(scorer(users), np.float64)
        _best(scores, mixed[start : start + step])
        scores[np.asarray(owned[users].todense()) > 0] = -np.inf
        _best(scores, new[start : start + step])
    return Lists(mixed, new)


@numba.njit(cache=True, nogil=True)
def _best(scores: Any, out: Any) -> None:
    """Columns of the largest finite entries of each row into `out` (rows, n), largest first, ties by column."""
    n = out.shape[1]
    value = np.empty(n)
    for row in range(len(scores)):
        filled = 0
        for column in range(scores.shape[1]):
            x = scores[row, column]
            if x == -np.inf or (filled == n and x <= value[n - 1]):
                continue
            place = min(filled, n - 1)
            while place > 0 and x > value[place - 1]:
                value[place], out[row, place] = value[place - 1], out[row, place - 1]
                place -= 1
            value[place], out[row, place] = x, column
            filled = min(n, filled + 1)


def measure(lists: Lists, problem: Problem, truth: Truth) -> Measured:
    """Figures per asked user; users without a new item in the target have NaN in `new`."""
    new = split_truth(truth, truth_for(problem.history, problem.asked))[0]
    return Measured(
        problem.asked,
        {name: of(lists.mixed, truth) for name, of in MEASURES.items()},
        {name: of(lists.new, new) for name, of in MEASURES.items()},
    )


def mean_over(keysets: Sequence[tuple[Indices, Floats]], n_users: int, draws: int = 2_000, seed: int = 0) -> Interval:
    """Mean over keysets of the mean over users of (asked, figure), with its 95% interval.

    A user can be asked in several keysets: users are resampled once, with the same multiplicity in all of them.
    """
    whole = float(np.mean([np.nanmean(figure) for _, figure in keysets])) if keysets else float("nan")
    if not np.isfinite(whole):
        return UNDEFINED
    sums, present = np.zeros((len(keysets), n_users)), np.zeros((len(keysets), n_users))
    for row, (asked, figure) in enumerate(keysets):
        counted = ~np.isnan(figure)
        sums[row, asked[counted]], present[row, asked[counted]] = figure[counted], 1.0
    met = np.flatnonzero(present.any(axis=0))
    sums, present, rng = sums[:, met], present[:, met], np.random.default_rng(seed)
    found = np.empty(draws)
    for draw in range(draws):
        times = np.bincount(rng.integers(0, len(met), len(met)), minlength=len(met))
        found[draw] = np.mean((sums @ times) / np.maximum(present @ times, 1))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(whole, float(low), float(high))


def difference_over(
    first: Sequence[Measured], second: Sequence[Measured], part: str, name: str, n_users: int, seed: int = 0
) -> Interval:
    """Mean of `first` - `second` in the measure `name` of `part` (mixed, new), paired over users, all keysets."""
    gaps = [
        (one.asked, getattr(one, part)[name] - getattr(other, part)[name])
        for one, other in zip(first, second, strict=True)
    ]
    return mean_over(gaps, n_users, seed=seed)
