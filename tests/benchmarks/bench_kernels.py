"""Kernels in process: features, recommendations and scores on a trained workspace."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from recsys.decisioning import OfferRequest, Serving, recommend, score
from recsys.features.customer import N_FEATURES, customer_row, customer_table, item_scratch
from recsys.settings import load_settings
from recsys.workspace import Workspace
from tests.benchmarks.measure import figure, milliseconds

COMMAND = "make bench BENCH=kernels"


def run(workspace: Path) -> list[dict[str, Any]]:
    """Figures of the kernels on the workspace's snapshot and champions."""
    serving = Workspace.open(load_settings(workspace=workspace, clock="snapshot")).load_serving()
    return [*_features(serving), *_memory(serving), *_answers(serving)]


def _features(serving: Serving) -> list[dict[str, Any]]:
    history, cat = serving.snapshot.history, serving.cat
    lines = np.diff(history.line_start[history.order_start].astype(np.int64))
    near_600 = int(np.argmin(np.abs(lines - 600)))
    scratch, out = item_scratch(serving.snapshot.catalogue.n_items), np.empty(N_FEATURES, np.float32)
    arrays, (low, high), base = history.arrays(), history.span(near_600), serving.population.arrays.base
    as_of = serving.snapshot.as_of

    def one() -> None:
        customer_row(arrays, low, high, as_of, cat.product_item, serving.zone, base, 28.0, scratch, out)

    def everyone() -> None:
        n_items = serving.snapshot.catalogue.n_items
        customer_table(history, cat.product_item, n_items, serving.zone, base, as_of, 28.0, threads=2)

    one_us = float(np.median(milliseconds(one, 2_000))) * 1e3
    base_ms = float(np.median(milliseconds(everyone, 15)))
    return [
        figure(f"customer features, one customer of {lines[near_600]} lines", one_us, "µs", COMMAND, at_most=30),
        figure(
            "customer features, whole base, two cores",
            history.n_lines / base_ms / 1e3,
            "million lines/s",
            COMMAND,
            at_least=20,
        ),
    ]


def _memory(serving: Serving) -> list[dict[str, Any]]:
    history = serving.snapshot.history
    a_line = sum(getattr(history, f"line_{n}").itemsize for n in ("product", "quantity", "amount", "discount"))
    an_order = sum(getattr(history, n).itemsize for n in ("order_time", "order_key", "order_store", "order_channel"))
    an_order += history.line_start.itemsize
    return [
        figure("history, a transaction line", a_line, "bytes", COMMAND, at_most=24),
        figure("history, an order", an_order, "bytes", COMMAND, at_most=24),
    ]


def _answers(serving: Serving) -> list[dict[str, Any]]:
    as_of, customers = serving.snapshot.as_of, serving.snapshot.customers
    draw = np.random.default_rng(1)
    ids = iter([customers[int(i)] for i in draw.integers(0, len(customers), 4_000)])
    figures = []
    if serving.offers is not None:
        trees = getattr(serving.offers.ranker, "n_trees", 0)
        asked = milliseconds(lambda: recommend(serving, OfferRequest(next(ids)), (), as_of), 1_000)
        name = f"one recommendation in process, 200 candidates, champion of {trees} trees"
        figures.append(figure(f"{name}, p50", float(np.median(asked)), "ms", COMMAND, at_most=4))
        why = milliseconds(lambda: recommend(serving, OfferRequest(next(ids), reasons=True), (), as_of), 500)
        figures.append(figure("the same with reasons, p50", float(np.median(why)), "ms", COMMAND))
        figures.append(figure("offers of the whole base, two cores", _per_second(serving), "customers/s", COMMAND))
    scored = milliseconds(lambda: score(serving, next(ids), (), as_of), 1_000)
    figures.append(figure("churn and value of one customer, p50", float(np.median(scored)), "ms", COMMAND, at_most=0.3))
    why = milliseconds(lambda: score(serving, next(ids), (), as_of, reasons=True), 300)
    figures.append(figure("the same with reasons, p50", float(np.median(why)), "ms", COMMAND))
    return figures


def _per_second(serving: Serving) -> float:
    """Customers answered a second by two threads."""
    import time

    ids = list(serving.snapshot.customers)

    def some(part: Sequence[str]) -> None:
        for customer in part:
            recommend(serving, OfferRequest(customer), (), serving.snapshot.as_of)

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(some, (ids[0::2], ids[1::2])))
    return len(ids) / (time.perf_counter() - start)
