"""Next purchase dates against what happened: `python -m tests.benchmarks.bench_timing --data DIR [--final]`.

Same data sets and cuts as `make bench-scores`; judged is everyone with a gap of their own, and every customer ×
category with three purchase days. A purchase may come after the data end, at H days: dates are compared up
to H (what lies beyond counts as H), and of a window that reaches over H the share that the forecast itself puts
within it counts.
Rules to beat: the last gap again, the mean gap again, counted from the last purchase, today if that is over.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys.data.clock import DAY, to_iso
from recsys.data.snapshot import Snapshot
from recsys.evaluation.bootstrap import paired_interval
from recsys.features.timing import next_by_category, next_purchase
from recsys.population.timing import HIGH, LEVELS, LOW, MIDDLE, chance_within
from recsys.population.timing_fit import fit_timing
from recsys.population.visits import category_visits, visits
from tests.benchmarks.bench_offers import log_look
from tests.benchmarks.bench_scores import CASES, data_sets, halves
from tests.benchmarks.figures import write_figures
from tests.benchmarks.measure import figure

Floats = npt.NDArray[np.float64]

FILE = CASES / "timing.json"
ASKED = 0.8
"""Probability of the window."""

LEAST = {"anything": 2, "categories": 3}
"""Purchase days from which on a rhythm is judged."""


def main() -> None:
    """Measure, write docs/figures/timing.json and docs/figures/scores/timing.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("BENCH_DATA"), help="folder with the files")
    parser.add_argument("--final", action="store_true", help="judge on the second half and log the look")
    arguments = parser.parse_args()
    split = "test" if arguments.final else "validation"
    former = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
    rows = [row for row in former if row["split"] != split]
    for name, snapshot in data_sets(Path(arguments.data), []):
        known, questions = halves(snapshot, final=arguments.final)
        stop = max(cut + days * DAY for _, cut, days in questions)
        for cut in [cut for model, cut, _ in questions if model == "churn"]:
            for each in judged(known, cut, stop):
                rows.append({"data": name, "split": split} | each)
                print(rows[-1], flush=True)
    FILE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    figures = [each for row in rows for each in goals(row)]
    write_figures("timing", figures)
    if arguments.final:
        log_look(["timing"], {each["name"]: str(each["value"]) for each in figures if each["split"] == "test"})


def goals(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The two things asked of a row: nearer than both rules, and windows that hold what they promise."""
    name = f"{row['data']}, {row['what']}, {row['cut']}"
    command = "python -m tests.benchmarks.bench_timing" + (" --final" if row["split"] == "test" else "")
    slack = max(0.03, 3 * np.sqrt(ASKED * (1 - ASKED) / row["judged"]))
    nearer = f"{name}: error − that of the {row['best rule']}, upper bound"
    held = f"{name}: coverage of the 80% window"
    coverage = figure(held, row["coverage"], "", command, split=row["split"])
    coverage |= {"asked": f"0.8 ± {slack:.2f}", "holds": bool(abs(row["coverage"] - ASKED) <= slack)}
    return [figure(nearer, row["difference high"], "days", command, at_most=0.0, split=row["split"]), coverage]


def judged(known: Snapshot, cut: int, stop: int) -> Iterator[dict[str, Any]]:
    """Anything, and each category where there are any, seen at `cut` [s] with what came until `stop` [s]."""
    past = known.with_facts(as_of=cut)
    start = time.perf_counter()
    timing = fit_timing(past)
    fitted = time.perf_counter() - start
    history, zone, limit = known.history, known.zone(), (stop - cut) / DAY
    shared = (history.arrays(), history.order_start, cut, stop, zone, timing)
    found = {"anything": _anything(*shared, LEAST["anything"])}
    if len(timing.category_prior) > 0:
        found["categories"] = _categories(*shared, LEAST["categories"])
    day = to_iso(cut, known.facts.timezone)[:10]
    for what, (truth, rules, quantiles, chance) in found.items():
        if len(truth) < 200:
            continue
        head = {"what": what, "cut": day, "days": limit, "judged": len(truth), "fitted in [s]": fitted}
        yield head | _row(truth, rules, quantiles, chance, limit)


def _row(truth: Floats, rules: Floats, quantiles: Floats, chance: Floats, limit: float) -> dict[str, Any]:
    """Errors [days] and coverage; `truth` infinite where nothing was bought until the limit, `chance` P(before it)."""
    seen = truth <= limit
    errors = {
        "forecast": np.abs(np.minimum(quantiles[:, MIDDLE], limit) - np.minimum(truth, limit)),
        "last gap": np.abs(np.minimum(rules[:, 0], limit) - np.minimum(truth, limit)),
        "mean gap": np.abs(np.minimum(rules[:, 1], limit) - np.minimum(truth, limit)),
    }
    within = (truth >= quantiles[:, LOW]) & (truth <= quantiles[:, HIGH])
    low, high = LEVELS[LOW], LEVELS[HIGH]
    beyond = np.maximum(high - np.maximum(chance, low), 0.0) / np.maximum(1.0 - chance, 1e-9)
    best = min(("last gap", "mean gap"), key=lambda rule: errors[rule].mean())
    difference = paired_interval(errors["forecast"], errors[best])
    return {
        "not bought": float((~seen).mean()),
        **{f"error, {name}": float(each.mean()) for name, each in errors.items()},
        **{f"error of the returned, {name}": float(each[seen].mean()) for name, each in errors.items()},
        "best rule": best,
        "difference": float(difference[0]),
        "difference high": float(difference[2]),
        "coverage": float(np.where(seen, within, beyond).mean()),
        "too early": float((truth < quantiles[:, LOW]).mean()),
        "width": float((np.minimum(quantiles[:, HIGH], limit) - np.minimum(quantiles[:, LOW], limit)).mean()),
    }


@numba.njit(cache=True)
def _anything(h: Any, order_start: Any, cut: int, stop: int, zone: Any, timing: Any, least: int) -> Any:
    n = len(order_start) - 1
    truth, rules = np.full(n, np.inf), np.empty((n, 2), np.float64)
    quantiles, chance = np.empty((n, len(LEVELS)), np.float64), np.empty(n, np.float64)
    found = 0
    for customer in range(n):
        low, high = order_start[customer], order_start[customer + 1]
        times = visits(h, low, high, stop, zone)
        known = np.searchsorted(times, cut, side="right")
        if known < least:
            continue
        _, _, left = next_purchase(h, low, high, cut, zone, timing)
        _judge(times, known, cut, stop, left, truth, rules, quantiles, chance, found)
        found += 1
    return truth[:found], rules[:found], quantiles[:found], chance[:found]


@numba.njit(cache=True)
def _categories(h: Any, order_start: Any, cut: int, stop: int, zone: Any, timing: Any, least: int) -> Any:
    n = 0
    for customer in range(len(order_start) - 1):
        low, high = order_start[customer], order_start[customer + 1]
        n += len(next_by_category(h, low, high, cut, zone, timing, least)[0])
    truth, rules = np.full(n, np.inf), np.empty((n, 2), np.float64)
    quantiles, chance = np.empty((n, len(LEVELS)), np.float64), np.empty(n, np.float64)
    found = 0
    for customer in range(len(order_start) - 1):
        low, high = order_start[customer], order_start[customer + 1]
        of, _, _, left = next_by_category(h, low, high, cut, zone, timing, least)
        if len(of) == 0:
            continue
        category, times = category_visits(h, low, high, stop, zone, timing.product_category)
        for k in range(len(of)):
            mine = times[np.searchsorted(category, of[k]) : np.searchsorted(category, of[k], side="right")]
            known = np.searchsorted(mine, cut, side="right")
            _judge(mine, known, cut, stop, left[k], truth, rules, quantiles, chance, found)
            found += 1
    return truth, rules, quantiles, chance


@numba.njit(cache=True)
def _judge(
    times: Any, known: int, cut: int, stop: int, left: Any, truth: Any, rules: Any, quantiles: Any, chance: Any, at: int
) -> None:
    """What came, and what the rules said, of one with `known` visits up to the cut."""
    if known < len(times):
        truth[at] = (times[known] - cut) / DAY
    last, elapsed = times[known - 1], (cut - times[known - 1]) / DAY
    rules[at, 0] = max((last - times[known - 2]) / DAY - elapsed, 0.0)
    rules[at, 1] = max((last - times[0]) / DAY / (known - 1) - elapsed, 0.0)
    quantiles[at] = left
    chance[at] = chance_within((stop - cut) / DAY, left)


if __name__ == "__main__":
    main()
