"""What scoring costs beside LightGBM: `python -m tests.benchmarks.bench_models`."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from recsys.models.forest import Forest

CUSTOMER_FEATURES, PAIR_FEATURES = 15, 25


def candidate_rows(customers: int, candidates: int, seed: int = 0) -> Any:
    """Rows of a ranker: customer features repeat over the candidates of a customer, pair features vary."""
    random = np.random.default_rng(seed)
    customer = random.normal(size=(customers, CUSTOMER_FEATURES)).repeat(candidates, axis=0)
    pair = random.normal(size=(customers * candidates, PAIR_FEATURES))
    pair[:, :8] = np.round(pair[:, :8] * 2)
    X = np.concatenate([customer, pair], axis=1).astype(np.float32)
    X[random.random(X.shape) < 0.05] = np.nan
    return X


def booster(trees: int, leaves: int) -> Any:
    """A ranker-sized model on 60,000 rows."""
    import lightgbm

    random = np.random.default_rng(1)
    X = candidate_rows(300, 200)
    score = 0.3 * np.nansum(X[:, 10:20] * random.normal(size=10), axis=1) + np.sin(np.nan_to_num(X[:, 16] * X[:, 20]))
    label = random.random(len(X)) < 1 / (1 + np.exp(-score))
    settings = {"objective": "binary", "num_leaves": leaves, "learning_rate": 0.05, "verbose": -1, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(X, label), trees)


def milliseconds(act: Callable[[], Any], times: int = 60) -> float:
    """Median of repeated calls, after one to warm up [ms]."""
    act()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        act()
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken)) * 1e3


def measure(trees: int = 300, leaves: int = 31) -> list[dict[str, Any]]:
    """One line per case: LightGBM, ours, ratio; bits are compared on the way."""
    model = booster(trees, leaves)
    forest = Forest.from_text(model.model_to_string())
    same, mixed = candidate_rows(1, 200, seed=2), candidate_rows(200, 1, seed=3)
    lines = []
    for name, X in (("200 candidates of one customer", same), ("200 customers", mixed), ("1 row", same[:1])):
        if not np.array_equal(forest.raw(X), model.predict(X, raw_score=True)):
            raise AssertionError(f"{name}: other bits than LightGBM")
        theirs = milliseconds(lambda X=X: model.predict(X, raw_score=True, num_threads=1))
        lines.append({"case": name, "lightgbm_ms": theirs, "ours_ms": milliseconds(lambda X=X: forest.raw(X))})
    one = same[:1]
    theirs = milliseconds(lambda: model.predict(one, pred_contrib=True, num_threads=1))
    lines.append(
        {"case": "reasons of 1 row", "lightgbm_ms": theirs, "ours_ms": milliseconds(lambda: forest.contributions(one))}
    )
    text = model.model_to_string()
    lines.append(
        {"case": "read the text", "lightgbm_ms": milliseconds(lambda: type(model)(model_str=text), 10),
         "ours_ms": milliseconds(lambda: Forest.from_text(text), 10)}
    )  # fmt: skip
    return [{**line, "ratio": line["lightgbm_ms"] / line["ours_ms"]} for line in lines]


def main() -> None:
    """Write the table to standard output."""
    print("300 trees, 31 leaves, 40 features, one thread")
    print(f"{'case':32} {'LightGBM [ms]':>14} {'ours [ms]':>10} {'ratio':>6}")
    for line in measure():
        print(f"{line['case']:32} {line['lightgbm_ms']:14.3f} {line['ours_ms']:10.3f} {line['ratio']:6.1f}")


if __name__ == "__main__":
    main()
