"""The order of ranked items."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.decisioning.sorting import best_first

scores = st.lists(st.sampled_from([0.0, -0.0, 1.5, -2.5, 1e300, np.inf, -np.inf, np.nan, 0.1]), max_size=200)


@given(raw=scores, seed=st.integers(0, 2**32 - 1))
def test_the_order_is_that_of_a_sort_by_score_then_item(raw, seed):
    """Ties of every kind stand by item, wherever they began."""
    items = np.random.default_rng(seed).permutation(len(raw)).astype(np.int64)
    expected = sorted(range(len(raw)), key=lambda k: (np.isnan(raw[k]), 0.0 if np.isnan(raw[k]) else -raw[k], items[k]))

    found = best_first(np.array(raw, np.float64), items)

    assert found.tolist() == expected
