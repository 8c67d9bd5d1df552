"""What a back-test found: plain frozen dataclasses, the same for the terminal, JSON, the report and MLflow."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import msgspec

from recsys.errors import ReportError

ModelName = Literal["offers", "churn", "value"]
Role = Literal["model", "baseline"]
Better = Literal["higher", "lower", "zero", "one", "level"]
PlotKind = Literal["reliability", "lift", "gain", "deciles"]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One figure with its 95% interval; `low` and `high` are None where none was computed, `value` where undefined.

    `better` says what to wish for: `higher`, `lower`, `zero` (bias), `one` (calibration slope, sum ratio), `level`
    (the coverage of an 80% interval is 0.8).
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    better: Better = "higher"


@dataclass(frozen=True, slots=True)
class Contender:
    """One model or baseline with its figures, all measured on the same customers."""

    name: str
    role: Role
    rows: tuple[MetricRow, ...]

    def value(self, metric: str) -> float | None:
        """Value of `metric`, None where it was not measured."""
        return next((row.value for row in self.rows if row.name == metric), None)


@dataclass(frozen=True, slots=True)
class Difference:
    """Paired difference `first` - `second` in `metric` with its 95% interval over customers; None where undefined."""

    metric: str
    first: str
    second: str
    value: float | None
    low: float | None
    high: float | None

    @property
    def is_above_zero(self) -> bool:
        """The whole interval lies above zero."""
        return self.low is not None and self.low > 0

    @property
    def is_below_zero(self) -> bool:
        """The whole interval lies below zero."""
        return self.high is not None and self.high < 0


@dataclass(frozen=True, slots=True)
class MetricTable:
    """Contenders side by side on one part of the question.

    part         `new`, `repeat`, `mixed` for offers; `orders`, `spend` for value; `all` for churn
    customers    how many customers the figures are taken over
    differences  the model against baselines, paired over these customers
    """

    part: str
    customers: int
    contenders: tuple[Contender, ...]
    differences: tuple[Difference, ...] = ()

    def contender(self, name: str) -> Contender | None:
        """The contender called `name`, None if it did not take part."""
        return next((each for each in self.contenders if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Curve:
    """One line or set of bars of a plot; `x` and `y` have equal length."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of the report, as numbers.

    reliability  x = mean predicted, y = observed rate, one point a bin
    lift, gain   x = share of customers contacted, best first; y = rate / base rate, or share of all hits
    deciles      x = decile of the prediction 1…10; one curve predicted, one actual (mean per customer)
    """

    kind: PlotKind
    title: str
    curves: tuple[Curve, ...]
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the figures mean: the contender that wins, whether it may become champion, and why, in plain words."""

    winner: str
    promoted: bool
    why: str


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """A forecast for one group of customers, see `recsys.evaluation.subgroups`.

    actual, predicted  means over the group: share that left, or spend [currency]
    expected           predicted, once all forecasts are set right in total
    error              Brier score, or mean absolute error [currency]
    p_value            of `actual` against `expected`, corrected for the number of groups
    off                beyond chance, and by enough to matter
    """

    group: str
    customers: int
    actual: float
    predicted: float
    expected: float
    error: float
    p_value: float
    off: bool


@dataclass(frozen=True, slots=True)
class ModelResult:
    """Everything a back-test says about one model.

    horizon_days  labels were taken from this many days after the cut; 0 where the model was skipped
    skipped       why the model could not be tested; empty where it was
    facts         further figures worth showing, by name (number of trees, null quantile of ECE, horizon's rule)
    groups        the winner's forecast for groups of customers
    """

    model: ModelName
    horizon_days: int
    tables: tuple[MetricTable, ...] = ()
    plots: tuple[Plot, ...] = ()
    verdict: Verdict | None = None
    skipped: str = ""
    facts: dict[str, float | str] = field(default_factory=dict)
    groups: tuple[GroupCheck, ...] = ()

    def table(self, part: str) -> MetricTable | None:
        """The table of `part`, None if there is none."""
        return next((each for each in self.tables if each.part == part), None)


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A back-test: models fitted on what was known at `cut`, judged on what came after.

    cut          instant nothing later was visible at [s UTC]
    timezone     business time zone, for reading `cut`
    snapshot_id  the data; `source` says in words where it came from
    currency     unit of all money figures; '' when unknown
    counts       customers, orders, lines and so on up to the cut
    notes        what a reader should know before trusting the figures
    """

    cut: int
    timezone: str
    snapshot_id: str
    source: str
    currency: str
    models: tuple[ModelResult, ...]
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def model(self, name: ModelName) -> ModelResult | None:
        """Result of one model, None if it took no part."""
        return next((each for each in self.models if each.model == name), None)

    def to_json(self) -> str:
        """Indented JSON; undefined figures are null."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()

    def write_json(self, path: Path) -> None:
        """Write `to_json` to `path`."""
        path.write_text(self.to_json() + "\n")

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """What `to_json` wrote.

        Raises:
            ReportError: `text` is not the JSON of a back-test.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise ReportError(f"This is no back-test result: {error}", cure="Run `barista backtest` again") from error


def flat_metrics(result: ModelResult) -> dict[str, float]:
    """Figures as `part.contender.metric` → value, as an experiment tracker logs them; undefined ones are left out."""
    return {name: value for name, value in _walk(result) if value is not None}


def _walk(result: ModelResult) -> Iterator[tuple[str, float | None]]:
    for table in result.tables:
        for contender in table.contenders:
            for row in contender.rows:
                yield f"{table.part}.{_slug(contender.name)}.{_slug(row.name)}", row.value


def _slug(text: str) -> str:
    """Letters, digits, `_`, `-`, `.` as they are (what MLflow allows in names), `@` as `_at_`, the rest `_`."""
    return "".join(each if each.isalnum() or each in "_-." else "_" for each in text.replace("@", "_at_"))
