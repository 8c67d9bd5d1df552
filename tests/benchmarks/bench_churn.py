"""Ways of calibrating churn, side by side: `python -m tests.benchmarks.bench_churn --data DIR [--final]`.

Same data sets, cuts and horizons as `make bench-scores`. Each way is judged by log loss, AUC and calibration error; two
ways that know the answer (the true level, the true line) show how much of the error is drift that no past told.
`--final` judges the default and the two on the second half, and logs the look.
"""

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.clock import to_iso
from recsys.evaluation.probability import auc, calibration_line, ece, ece_null_quantile, log_losses
from recsys.features.customer import CUSTOMER_FEATURES
from recsys.models.calibration import Calibration, Isotonic, Platt, calibrate
from recsys.models.forest import Forest
from recsys.models.scorers import Scorer
from tests.benchmarks.bench_offers import log_look
from tests.benchmarks.bench_scores import CASES, THREADS, data_sets, halves
from training.churn import TREES
from training.crossfit import Keyed, cross_fit
from training.fits import GROWING
from training.models import MODELLING, feasible_horizon
from training.samples import Sample, fit_samples, sample_at
from training.served import active_shift
from training.tables import Pasts
from training.trees import Rows, grow, leafy, without
from training.windows import FitPlan, first_order, plan_fit

Floats = npt.NDArray[np.float64]

SEED = 20170101
FILE = CASES / "churn-calibration.json"
DEFAULT, LEVEL, LINE = "cross-fitted, Platt (default)", "default, true level known", "default, true line known"
SIZES = (300, 1_000, 3_000)
"""Customers of the newest window the curve may learn from."""


class Way:
    """Scores of the past windows, newest first, with what happened, and scores of today."""

    def __init__(self, scorer: Scorer, windows: list[tuple[Floats, Floats]], today: npt.NDArray[np.float32]) -> None:
        self.windows, self.today = windows, scorer.raw(today)

    def by(self, curve: Calibration) -> Floats:
        """Today's probabilities under a curve."""
        return curve.apply(self.today)


def main() -> None:
    """Measure, write docs/figures/scores/churn-calibration.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("BENCH_DATA"), help="folder with the files")
    parser.add_argument("--final", action="store_true", help="judge on the second half and log the look")
    arguments = parser.parse_args()
    split = "test" if arguments.final else "validation"
    rows = [row for row in read() if row["split"] != split]
    for name, snapshot in data_sets(Path(arguments.data), []):
        known, questions = halves(snapshot, final=arguments.final)
        pasts = Pasts(known, threads=THREADS)
        stop = max(cut + days * 86_400 for _, cut, days in questions)
        for cut, days in [(cut, days) for model, cut, days in questions if model == "churn"]:
            found = list(judged(pasts, cut, days, stop, final=arguments.final))
            day = to_iso(cut, known.facts.timezone)[:10]
            rows += [{"data": name, "split": split, "cut": day, "horizon": days} | each for each in found]
            print(name, day, *(f"{each['way']} {each['ece']:.4f}" for each in found), sep="\n  ", flush=True)
    FILE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if arguments.final:
        log_look(["churn"], {f"{r['data']}, {r['cut']}: ECE, {r['way']}": f"{r['ece']:.4f}" for r in rows})


def read() -> list[dict[str, Any]]:
    """Rows measured so far."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []


def judged(pasts: Pasts, cut: int, days: int, stop: int, *, final: bool) -> Iterator[dict[str, Any]]:
    """One row a way."""
    label = np.where(pasts.outcomes(cut, days, known_until=stop).orders == 0, 1.0, 0.0)
    trained = feasible_horizon("churn", pasts, cut, days)
    plan = plan_fit(first_order(pasts.snapshot.history), cut, MODELLING["churn"].rules(trained))
    past, history = pasts.at(cut), pasts.at(cut).snapshot.history
    carried = active_shift(
        history.arrays(), history.order_start, past.as_of, past.zone, past.base, float(trained), float(days)
    )
    for name, p in ways(pasts, plan, final=final).items():
        told = _sigmoid(_logit(p) - carried * (trained != days))
        for way, q in {name: told, **(oracles(label, told) if name == DEFAULT else {})}.items():
            yield {
                "way": way,
                "customers": len(label),
                "ece": ece(label, q),
                "null": float(ece_null_quantile(q)),
                "log loss": float(log_losses(label, q).mean()),
                "auc": auc(label, q),
                "predicted": float(q.mean()),
                "happened": float(label.mean()),
            }


def ways(pasts: Pasts, plan: FitPlan, *, final: bool) -> dict[str, Floats]:
    """P(left) today by each way."""
    samples = fit_samples(pasts, plan, seed=SEED)
    assert samples.train is not None, "these histories hold windows enough"
    settings = without(leafy(TREES, len(samples.train.orders)), CUSTOMER_FEATURES, GROWING)
    rows = Rows(samples.train.X, samples.train.left), Rows(samples.held_out.X, samples.held_out.left)
    grown = grow(rows[0], CUSTOMER_FEATURES, settings, seed=SEED, threads=THREADS, held_out=rows[1])
    today = pasts.at(plan.cut).rows(plan.horizon_days)
    starts = (plan.calibrate_at, *plan.starts)
    parts = [sample_at(pasts, start, plan.horizon_days, plan.cut) for start in starts]
    keyed = [Keyed(part, pasts.at(start).keys) for part, start in zip(parts, starts, strict=True)]
    crossed = cross(keyed, replace(settings, trees=grown.trees, patience=None), today)
    newest = crossed.windows[0]
    found = {DEFAULT: crossed.by(Platt.fit(*newest))}
    if final:
        return found
    apart = Forest.from_text(grown.text)
    former = Way(apart, [(apart.raw(samples.held_out.X), samples.held_out.left)], today)
    found |= {f"newest window kept apart, {name}": former.by(fit(*former.windows[0])) for name, fit in CURVES.items()}
    found |= {f"cross-fitted, {name}": crossed.by(CURVES[name](*newest)) for name in ("isotonic", "the better of both")}
    found |= {f"cross-fitted, all windows, halved each ({k})": several(crossed, k) for k in ("Platt", "isotonic")}
    found["default, shifted by the trend of the levels"] = shifted(crossed)
    found |= {
        f"cross-fitted, {kind} from {size:,} customers": crossed.by(CURVES[kind](*some(newest, size)))
        for size in SIZES
        for kind in ("Platt", "isotonic")
    }
    return found


CURVES: dict[str, Any] = {"the better of both": calibrate, "Platt": Platt.fit, "isotonic": Isotonic.fit}


def cross(keyed: list[Keyed], settings: Any, today: npt.NDArray[np.float32]) -> Way:
    """Scores of every window by trees that knew none of its customers: each window takes its turn as the newest."""
    windows, served = [], None
    for place in range(len(keyed)):
        others = [each for at, each in enumerate(keyed) if at != place]
        earlier = Keyed(Sample.joined([each.sample for each in others]), np.concatenate([each.keys for each in others]))
        found = cross_fit(earlier, keyed[place], CUSTOMER_FEATURES, settings, seed=SEED, threads=THREADS)
        windows.append((found.raw, found.label))
        served = served or found.forest
    assert served is not None
    return Way(served, windows, today)


def several(way: Way, kind: str) -> Floats:
    """The curve of all windows, each older one with half the weight."""
    raw, label = (np.concatenate([window[k] for window in way.windows]) for k in (0, 1))
    weight = np.concatenate([np.full(len(window[0]), 0.5**age) for age, window in enumerate(way.windows)])
    return way.by(CURVES[kind](raw, label, weight))


def shifted(way: Way) -> Floats:
    """The newest curve, moved on as levels of the windows moved: a line through them, older ones weigh less."""
    curve = Platt.fit(*way.windows[0])
    levels = [level(curve.apply(raw), float(label.mean())) for raw, label in way.windows]
    age = np.arange(len(levels))
    slope = float(np.polyfit(-age, levels, 1, w=0.7**age)[0])
    return _sigmoid(_logit(way.by(curve)) + slope)


def some(window: tuple[Floats, Floats], size: int) -> tuple[Floats, Floats]:
    """At most `size` customers of a window."""
    kept = np.random.default_rng(SEED).permutation(len(window[0]))[:size]
    return window[0][kept], window[1][kept]


def oracles(label: Floats, p: Floats) -> dict[str, Floats]:
    """`p` with the true level, and with the true calibration line."""
    line = calibration_line(label, p)
    return {
        LEVEL: _sigmoid(_logit(p) + level(p, float(label.mean()))),
        LINE: _sigmoid(line.intercept + line.slope * _logit(p)),
    }


def level(p: Floats, rate: float) -> float:
    """What the log-odds of `p` must rise by so that their mean probability is `rate`."""
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(_logit(p) + middle).mean() < rate else (low, middle)
    return (low + high) / 2


def _logit(p: Floats) -> Floats:
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(p) - np.log1p(-p))


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-z)))


if __name__ == "__main__":
    main()
