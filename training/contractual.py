"""Churn of contracts: P(a running subscription ends within the horizon), by a discrete-time hazard.

Each subscription gives one row a period it ran through: its tenure, its attributes, whether it ended at the period's
end. Rows of one subscription are independent given what is known before each period, so a binary model of the rows is
the likelihood of the hazard, open contracts censored (Singer & Willett, *It's about time*, Journal of Educational
Statistics 18(2), 1993). Trees learn it; the curve comes from customers they did not know. Then

    P(ends within k periods | lasted t) = 1 − Π_{j<k} (1 − h(t + j)).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys.errors import ImportRefused, NotEnoughData
from recsys.models.calibration import Platt
from recsys.models.forest import Forest
from training.crossfit import out_of_fold
from training.trees import TreeSettings, leafy

Floats = npt.NDArray[np.float64]

FOLDS = 3
LEAST_ENDED = 30
"""Contracts that must have ended before a hazard is learned."""

MOST_VALUES = 30
"""Texts of more values than this (names, streets) are left out."""

TREES = TreeSettings("binary", "binary_logloss", 150, None, {"num_leaves": 7, "learning_rate": 0.05, "lambda_l2": 5.0})

CUSTOMER, START, END = "customer_id", "started_at", "ended_at"


@dataclass(frozen=True, slots=True)
class Columns:
    """Attributes as the trees read them: numbers as they are, one column for each value of a text."""

    numbers: tuple[str, ...]
    values: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, table: pl.DataFrame, besides: tuple[str, ...] = (CUSTOMER, START, END)) -> "Columns":
        """Every attribute of `table` that can be read, but for the columns `besides`."""
        names = [name for name in table.columns if name not in besides]
        numbers = tuple(name for name in names if table[name].dtype.is_numeric() or table[name].dtype == pl.Boolean)
        texts = [name for name in names if table[name].dtype == pl.String]
        known = {name: sorted(table[name].drop_nulls().unique().to_list()) for name in texts}
        return cls(numbers, tuple((name, v) for name, all_ in known.items() if len(all_) <= MOST_VALUES for v in all_))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `matrix`."""
        return ("tenure", *(f"a{k}" for k in range(len(self.numbers) + len(self.values))))

    def matrix(self, table: pl.DataFrame) -> npt.NDArray[np.float32]:
        """Attributes (n, f), without tenure; NaN where unknown."""
        columns = [table[name].cast(pl.Float64).to_numpy() for name in self.numbers]
        columns += [(table[name] == value).cast(pl.Float64).to_numpy() for name, value in self.values]
        if not columns:
            return np.empty((len(table), 0), np.float32)
        return np.column_stack(columns).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Hazard:
    """A fitted hazard of periods of `period` days."""

    columns: Columns
    forest: Forest
    curve: Platt
    period: int

    def leaving(self, table: pl.DataFrame, as_of: date, periods: int) -> Floats:
        """P(ends within `periods`) of the contracts of `table`, all running on `as_of`, (n,)."""
        attributes, tenure = self.columns.matrix(table), _lasted(table, as_of, self.period)
        stays = np.ones(len(table))
        for ahead in range(periods):
            X = np.column_stack([(tenure + ahead).astype(np.float32), attributes])
            stays *= 1.0 - self.curve.apply(self.forest.raw(X))
        return 1.0 - stays


def read_subscriptions(path: Path) -> pl.DataFrame:
    """Contracts from CSV or Parquet: customer_id, started_at, ended_at (empty: running), attributes.

    Raises:
        ImportRefused: it is neither, or lacks a column, or a date can't be read.
    """
    try:
        table = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ImportRefused("The subscriptions can't be read", found=str(error), expected="CSV or Parquet") from error
    missing = [name for name in (CUSTOMER, START, END) if name not in table.columns]
    if missing:
        raise ImportRefused(
            "The subscriptions lack a column",
            found=", ".join(table.columns),
            expected=", ".join((CUSTOMER, START, END)),
            cure="Rename the columns of the file",
        )
    try:
        return table.with_columns(pl.col(CUSTOMER).cast(pl.String), pl.col(START, END).cast(pl.Date))
    except pl.exceptions.PolarsError as error:
        raise ImportRefused("A date can't be read", found=str(error), expected="days like 2024-12-31") from error


def known_at(table: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Contracts as known at the end of `as_of`: later ones are not there, later ends have not come."""
    begun = table.filter(pl.col(START) <= as_of)
    return begun.with_columns(pl.when(pl.col(END) <= as_of).then(pl.col(END)).alias(END))


def running(table: pl.DataFrame) -> pl.DataFrame:
    """Contracts without an end."""
    return table.filter(pl.col(END).is_null())


def fit_hazard(table: pl.DataFrame, as_of: date, *, period: int = 30, seed: int, threads: int = 1) -> Hazard:
    """The hazard of the contracts of `table`, of which nothing after `as_of` is read.

    Raises:
        NotEnoughData: fewer than LEAST_ENDED contracts have ended.
    """
    known = known_at(table, as_of)
    columns = Columns.of(known)
    X, ended, owner = _period_rows(known, columns, as_of, period)
    if ended.sum() < LEAST_ENDED:
        raise NotEnoughData(
            "Too few contracts have ended to learn from",
            found=int(ended.sum()),
            expected=f"at least {LEAST_ENDED} up to {as_of}",
        )
    settings = leafy(TREES, len(X))

    fold = fold_of(known[CUSTOMER].to_list(), seed)[owner]
    forest, raw = out_of_fold(X, ended, fold, columns.names, settings, seed=seed, threads=threads)
    return Hazard(columns, forest, Platt.fit(raw, ended), period)


def fold_of(ids: list[str], seed: int) -> npt.NDArray[np.int64]:
    """Which of FOLDS each id belongs to, (n,)."""
    return np.array([crc32(f"{seed}:{each}".encode()) % FOLDS for each in ids], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Chances told on a day in the past for the contracts running then, and what became of them, (n,)."""

    as_of: date
    label: Floats
    chance: Floats
    by_tenure: Floats


def judge_hazard(table: pl.DataFrame, cut: date, periods: int, *, period: int = 30, seed: int) -> Judged:
    """A hazard fitted on what was known at `cut`, against what happened within `periods`; beside tenure alone.

    Raises:
        NotEnoughData: fewer than LEAST_ENDED contracts had ended, or none was running.
    """
    then = running(known_at(table, cut))
    if not len(then):
        raise NotEnoughData("No contract was running", found=str(cut), expected="a day within the history")
    over = table.filter(pl.col(END) <= cut + timedelta(days=periods * period))
    gone = then.join(over.select(CUSTOMER, START), on=[CUSTOMER, START], how="semi")
    label = then.select(CUSTOMER, START).join(
        gone.select(CUSTOMER, START, gone=pl.lit(1.0)), on=[CUSTOMER, START], how="left", maintain_order="left"
    )
    plain = fit_hazard(table.select(CUSTOMER, START, END), cut, period=period, seed=seed)
    whole = fit_hazard(table, cut, period=period, seed=seed)
    chances = (each.leaving(then, cut, periods) for each in (whole, plain))
    return Judged(cut, label["gone"].fill_null(0.0).to_numpy(), *chances)


def _lasted(table: pl.DataFrame, as_of: date, period: int) -> npt.NDArray[np.int64]:
    """Whole periods each contract has run through up to `as_of` or its end, (n,)."""
    days = (table[END].fill_null(as_of) - table[START]).dt.total_days()
    return np.asarray(days.to_numpy(), np.int64) // period


def _period_rows(
    table: pl.DataFrame, columns: Columns, as_of: date, period: int
) -> tuple[npt.NDArray[np.float32], Floats, npt.NDArray[np.int64]]:
    """A row a period run through: features, whether it was the last, and the contract's place in `table`.

    An end within a period is counted at it: the contract ran through the periods before, and ended in this one.
    """
    days = np.asarray((table[END].fill_null(as_of) - table[START]).dt.total_days().to_numpy(), np.int64)
    over = table[END].is_not_null().to_numpy()
    count = np.where(over, np.maximum(-(-days // period), 1), days // period)
    owner = np.repeat(np.arange(len(table)), count)
    tenure = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    ended = np.where(over[owner] & (tenure == count[owner] - 1), 1.0, 0.0)
    X = np.column_stack([tenure.astype(np.float32), columns.matrix(table)[owner]])
    return X, ended, owner
