"""What lists look like beside being right: how much of the catalogue they show, how popular and how novel it is."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

COVERAGE, POPULAR_SHARE, NOVELTY = "coverage", "popular share", "novelty"

HEAD = 0.01
"""The most bought items that count as popular, as a share of all items that were ever bought."""

Items = npt.NDArray[np.int32]


def beyond_accuracy(
    lists: Items, buyers: npt.NDArray[np.integer], n_customers: int, offerable: npt.NDArray[np.bool_] | None = None
) -> Mapping[str, float]:
    """Coverage, share of popular items and novelty of `lists` (n, k), -1 padded; NaN where all lists are empty.

    `buyers` (n_items,): customers that ever bought each item, of `n_customers`. Coverage: share of the items that may
    be offered (and were ever bought) which some list holds. Popular share: share of the places taken by the 1% most
    bought items. Novelty: mean of -log2(buyers / customers) over the places, in bits: an item half of the customers
    know has 1 (Zhou et al. 2010, PNAS 107(10)).
    """
    shown = lists[lists >= 0]
    if len(shown) == 0:
        return dict.fromkeys((COVERAGE, POPULAR_SHARE, NOVELTY), float("nan"))
    sold = buyers > 0
    possible = sold if offerable is None else sold & offerable
    surprise = -np.log2(np.maximum(buyers, 1) / max(n_customers, 1))
    return {
        COVERAGE: float(np.count_nonzero(possible[np.unique(shown)]) / max(1, possible.sum())),
        POPULAR_SHARE: float(popular_items(buyers)[shown].mean()),
        NOVELTY: float(surprise[shown].mean()),
    }


def popular_items(buyers: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which items are among the 1% most bought (at least one), ties to the smaller index, (n_items,)."""
    head = max(1, round(HEAD * float((buyers > 0).sum())))
    mask = np.zeros(len(buyers), np.bool_)
    mask[np.lexsort((np.arange(len(buyers)), -buyers))[:head]] = True
    return mask
