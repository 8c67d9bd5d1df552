"""Leads: P(first purchase within the horizon) of prospects, from what is known of them and what they did.

Rolling windows as everywhere: at each start the leads that had not bought yet, with what was known then; trees learn
from all windows that end by the cut, and Platt's curve comes from leads they did not know, of the newest window where
it holds enough.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.errors import ImportRefused, NotEnoughData
from recsys.models.calibration import Platt
from recsys.models.forest import Forest
from training.contractual import Columns, fold_of
from training.crossfit import out_of_fold
from training.trees import TreeSettings, leafy

Floats = npt.NDArray[np.float64]

LEAD, CREATED, BOUGHT, AT, KIND = "lead_id", "created_at", "purchased_at", "occurred_at", "kind"

MOST_WINDOWS = 6
"""Windows the trees learn from, two a horizon, newest first."""

LEAST_BOUGHT = 30
"""First purchases that the windows must hold before anything is learned."""

ENOUGH = 300
"""First purchases in the newest window from which on it alone gives the curve; with fewer all windows do."""

SPANS = (7, 28, 10_000)
"""Days back that touches of each kind are counted over."""

TREES = TreeSettings("binary", "binary_logloss", 150, None, {"num_leaves": 7, "learning_rate": 0.05, "lambda_l2": 5.0})


@dataclass(frozen=True, slots=True, eq=False)
class Leads:
    """Prospects and their touches.

    table    lead_id, created_at, purchased_at (null: not yet), attributes
    touches  lead_id, occurred_at, kind: views, carts, campaign events …
    """

    table: pl.DataFrame
    touches: pl.DataFrame

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of touches."""
        return tuple(sorted(self.touches[KIND].drop_nulls().unique().to_list()))

    def open_at(self, day: date) -> pl.DataFrame:
        """Leads known at the end of `day` that had not bought by then."""
        bought = pl.col(BOUGHT).is_not_null() & (pl.col(BOUGHT) <= day)
        return self.table.filter((pl.col(CREATED) <= day) & ~bought)


@dataclass(frozen=True, slots=True, eq=False)
class LeadModel:
    """Trees and their curve for a horizon [days]."""

    columns: Columns
    kinds: tuple[str, ...]
    forest: Forest
    curve: Platt
    horizon_days: int

    def chance(self, leads: Leads, day: date) -> tuple[list[str], Floats]:
        """Ids of the leads open at the end of `day`, and P(first purchase within the horizon) of each."""
        known = leads.open_at(day)
        X = _features(known, leads.touches, day, self.columns, self.kinds)
        return known[LEAD].to_list(), self.curve.apply(self.forest.raw(X))


def read_leads(path: Path, touches: Path) -> Leads:
    """Leads and touches from CSV or Parquet.

    Raises:
        ImportRefused: a file can't be read, lacks a column, or holds what is no day.
    """
    table = _read(path, (LEAD, CREATED, BOUGHT)).with_columns(pl.col(CREATED, BOUGHT).cast(pl.Date))
    told = _read(touches, (LEAD, AT, KIND)).with_columns(pl.col(AT).cast(pl.Date), pl.col(KIND).cast(pl.String))
    return Leads(table, told.select(LEAD, AT, KIND))


def _read(path: Path, needed: tuple[str, ...]) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ImportRefused(f"{path.name} can't be read", found=str(error), expected="CSV or Parquet") from error
    if missing := [name for name in needed if name not in table.columns]:
        raise ImportRefused(
            f"{path.name} lacks {', '.join(missing)}", found=", ".join(table.columns), expected=", ".join(needed)
        )
    return table.with_columns(pl.col(LEAD).cast(pl.String))


def fit_leads(leads: Leads, cut: date, horizon_days: int, *, seed: int, threads: int = 1) -> LeadModel:
    """The model of what was known at the end of `cut`; nothing later is read.

    Raises:
        NotEnoughData: the windows hold fewer than LEAST_BOUGHT first purchases.
    """
    columns = Columns.of(leads.table.filter(pl.col(CREATED) <= cut), (LEAD, CREATED, BOUGHT))
    kinds = Leads(leads.table, leads.touches.filter(pl.col(AT) <= cut)).kinds
    windows = [_window(leads, start, horizon_days, columns, kinds) for start in _starts(leads, cut, horizon_days)]
    bought = sum(label.sum() for _, label, _ in windows)
    if bought < LEAST_BOUGHT:
        raise NotEnoughData(
            "Too few leads have bought to learn from",
            found=int(bought),
            expected=f"at least {LEAST_BOUGHT} within windows of {horizon_days} days up to {cut}",
            cure="Take a shorter horizon, or wait",
        )
    X, y = np.concatenate([each[0] for each in windows]), np.concatenate([each[1] for each in windows])
    fold = fold_of([lead for each in windows for lead in each[2]], seed)
    names = tuple(f"f{k}" for k in range(X.shape[1]))
    forest, raw = out_of_fold(X, y, fold, names, leafy(TREES, len(X)), seed=seed, threads=threads)
    newest = len(windows[0][1]) if windows[0][1].sum() >= ENOUGH else len(y)
    return LeadModel(columns, kinds, forest, Platt.fit(raw[:newest], y[:newest]), horizon_days)


def judged(leads: Leads, model: LeadModel, day: date) -> tuple[Floats, Floats]:
    """What `model` told at the end of `day`, and whether each lead bought within the horizon, (n,) each."""
    ids, chance = model.chance(leads, day)
    until = day + timedelta(days=model.horizon_days)
    over = set(leads.table.filter((pl.col(BOUGHT) > day) & (pl.col(BOUGHT) <= until))[LEAD].to_list())
    return chance, np.array([1.0 if lead in over else 0.0 for lead in ids])


def _starts(leads: Leads, cut: date, horizon_days: int) -> list[date]:
    """Ends of the days the windows begin after, newest first."""
    first = leads.table[CREATED].min()
    assert isinstance(first, date), "a table of leads has days"
    step = max(1, horizon_days // 2)
    starts = [cut - timedelta(days=horizon_days + k * step) for k in range(MOST_WINDOWS)]
    return [start for start in starts if start >= first] or starts[:1]


def _window(
    leads: Leads, start: date, horizon_days: int, columns: Columns, kinds: tuple[str, ...]
) -> tuple[npt.NDArray[np.float32], Floats, list[str]]:
    """Features, labels and ids of the leads open at a start."""
    known, until = leads.open_at(start), start + timedelta(days=horizon_days)
    label = (known[BOUGHT].is_not_null() & (known[BOUGHT] <= until)).fill_null(value=False)
    X = _features(known, leads.touches, start, columns, kinds)
    return X, label.cast(pl.Float64).to_numpy(), known[LEAD].to_list()


def _features(
    known: pl.DataFrame, touches: pl.DataFrame, day: date, columns: Columns, kinds: tuple[str, ...]
) -> npt.NDArray[np.float32]:
    """Age [days], days since the last touch, touches of each kind over SPANS, attributes; (n, f)."""
    ago = (pl.lit(day) - pl.col(AT)).dt.total_days()
    counts = [((pl.col(KIND) == kind) & (ago < span)).sum().alias(f"{kind} {span}") for kind in kinds for span in SPANS]
    seen = touches.filter(pl.col(AT) <= day).group_by(LEAD).agg(ago.min().alias("since"), *counts)
    joined = known.select(LEAD, CREATED).join(seen, on=LEAD, how="left", maintain_order="left")
    age = (pl.Series([day] * len(joined), dtype=pl.Date) - joined[CREATED]).dt.total_days().to_numpy()
    told = [joined[f"{kind} {span}"].fill_null(0).to_numpy() for kind in kinds for span in SPANS]
    since = joined["since"].cast(pl.Float64).to_numpy()
    return np.column_stack([age, since, *told, columns.matrix(known)]).astype(np.float32)
