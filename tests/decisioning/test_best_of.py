"""The largest scores of many are found as sorting all of them would."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.decisioning.best import best_of

N_ITEMS, WANTED = 400, 20
SCORES = st.one_of(
    st.sampled_from([0.0, 0.5, 1e-30]), st.floats(0.0, 8.0, width=32), st.floats(0.984375, 1.0, width=32)
)


@given(st.lists(SCORES, min_size=1, max_size=60), st.integers(0, 2**32))
def test_a_list_holds_what_sorting_all_allowed_items_puts_first(scores: list[float], seed: int) -> None:
    """Largest first, ties by item; none that is not free to be named."""
    draw = np.random.default_rng(seed)
    score = draw.choice(scores, N_ITEMS) * np.where(draw.random(N_ITEMS) < 0.5, 1.0, draw.random(N_ITEMS) ** 8)
    score, free = score.astype(np.float32), draw.integers(0, 9, N_ITEMS) > 1
    out = np.full(WANTED, -1, np.int64)
    best_of(score, -free.astype(np.int32), out)
    named = [item for item in range(N_ITEMS) if score[item] > 0 and free[item]]
    expected = sorted(named, key=lambda item: (-score[item], item))[:WANTED]
    assert out.tolist() == expected + [-1] * (WANTED - len(expected))
