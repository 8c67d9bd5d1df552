"""What each candidate source and each feature group is worth: everything but one of them, at one earlier cut.

The rows are made once. A source that is left out takes the candidates with it that no other source named; a feature
group that is left out is missing (NaN) in training and in asking.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.clock import to_iso
from recsys.data.snapshot import Snapshot
from recsys.data.truncate import until
from recsys.decisioning.candidates import MIXED, NEW, SOURCES
from recsys.decisioning.gather import OffersTable, offers_table
from recsys.evaluation import metrics
from recsys.features import pairs as pair_features
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.forest import Forest
from tests.benchmarks.offers_cases import MODEL, OfferCase, Vectors, table_of
from tests.benchmarks.offers_data import Question, cuts_of
from tests.benchmarks.offers_windows import Cut, Ranked, top
from training.backtesting import SEED
from training.models import MODELLING, feasible_horizon
from training.offers import TREES
from training.pairs import Bought, chosen_customers
from training.tables import Pasts
from training.trees import Rows, grow, leafy
from training.windows import first_order, plan_fit

ASKED, LEARNED = 4_000, 4_000
"""Customers asked, and customers of one window learned from, at most."""

MISSES = 0.15
"""Share of the misses the trees see."""

TREES_GROWN = 200


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with labels: features, source marks, hits."""

    rows: OffersTable
    hit: npt.NDArray[np.bool_]


def groups() -> dict[str, tuple[str, ...]]:
    """Feature groups by name: the tuples of `recsys.features.pairs` that together are its features."""
    found = {}
    for name, value in vars(pair_features).items():
        if name.isupper() and name != "PAIR_FEATURES" and isinstance(value, tuple) and set(value) <= set(PAIR_FEATURES):
            found[name.lower().replace("_", " ")] = value
    return found


def cases(question: Question, snapshot: Snapshot, *, final: bool) -> Iterator[OfferCase]:
    """The newest validation cut; the test is never read."""
    cuts, end = cuts_of(question, snapshot, final=False)
    pasts, cut = Pasts(until(snapshot, end).snapshot, threads=2), cuts[-1]
    asked = Cut.of(pasts, cut, question.horizon_days, end)
    customers = asked.customers[:: max(1, len(asked.customers) // ASKED)]
    small = Cut(pasts, asked.past, asked.horizon_days, end, customers, asked.truth, asked.known)
    learned = training_table(pasts, cut, question.horizon_days)
    tables = {mode: asked_table(small, code) for mode, code in (("mixed", MIXED), ("new", NEW))}
    found = {name: measured(small, learned, tables, *left) for name, left in variants().items()}
    day = to_iso(cut + 1, snapshot.facts.timezone)[:10]
    parts = tuple(table_of(mode, {name: each[mode] for name, each in found.items()}) for mode in tables)
    level = question.item_level
    yield OfferCase("ablation", question.data, level, day, question.horizon_days, "validation", parts)


def variants() -> dict[str, tuple[int, frozenset[str]]]:
    """Name → (sources that stay, as a mask of bits; features that are missing)."""
    everything = (1 << len(SOURCES)) - 1
    found = {MODEL: (everything, frozenset[str]())}
    found |= {f"without source {name}": (everything & ~(1 << bit), frozenset()) for bit, name in enumerate(SOURCES)}
    found |= {f"without features {name}": (everything, frozenset(names)) for name, names in groups().items()}
    return found


def training_table(pasts: Pasts, cut: int, horizon: int) -> Table:
    """All hits and some misses of the windows the product would learn from."""
    trained = feasible_horizon("offers", pasts, cut, horizon)
    plan = plan_fit(first_order(pasts.snapshot.history), cut, MODELLING["offers"].rules(trained))
    parts = []
    for start in plan.starts[:2]:
        past, labels = pasts.at(start), pasts.outcomes(start, trained, known_until=plan.cut)
        customers = chosen_customers(past, labels.orders > 0, SEED, LEARNED)
        bought = Bought.of(labels, customers, past.snapshot.catalogue.n_items)
        table = offers_table(past.snapshot, past.population, start, customers, threads=2)
        hit = bought.among(table.customer, table.item)
        kept = hit | (np.random.default_rng(SEED).random(len(hit)) < MISSES)
        parts.append((masked(table, kept), hit[kept]))
    fields = OffersTable.__slots__
    rows = OffersTable(*(np.concatenate([getattr(table, name) for table, _ in parts]) for name in fields))
    return Table(rows, np.concatenate([hit for _, hit in parts]))


def masked(table: OffersTable, kept: npt.NDArray[np.bool_]) -> OffersTable:
    """The rows of the mask."""
    return OffersTable(*(getattr(table, name)[kept] for name in OffersTable.__slots__))


def asked_table(asked: Cut, mode: int) -> OffersTable:
    """Candidates of the asked in a mode."""
    return offers_table(
        asked.past.snapshot, asked.past.population, asked.past.as_of, asked.customers, mode=mode, threads=2
    )


def measured(
    asked: Cut, learned: Table, tables: Mapping[str, OffersTable], sources: int, missing: frozenset[str]
) -> dict[str, Vectors]:
    """Figures per customer by mode of trees that know these sources and features only."""
    kept = named_by(learned.rows, sources)
    X, hit = without(learned.rows.X[kept], missing), learned.hit[kept]
    rows = Rows(X, np.where(hit, 1.0, 0.0), np.where(hit, 1.0, 1.0 / MISSES))
    settings = leafy(TREES, len(hit))
    settings = type(settings)(settings.objective, settings.metric, TREES_GROWN, None, settings.parameters)
    forest = Forest.from_text(grow(rows, PAIR_FEATURES, settings, seed=SEED, threads=2).text)
    found: dict[str, Vectors] = {}
    for mode, table in tables.items():
        left = masked(table, named_by(table, sources))
        raw = forest.raw(without(left.X, missing))
        lists = top(Ranked(left.customer, left.item, left.sources, raw, raw), len(asked.customers))
        found[mode] = metrics.ranking_vectors(lists, asked.truth_of(mode))
    return found


def named_by(table: OffersTable, sources: int) -> Any:
    """Which rows one of the sources named."""
    return (table.sources.astype(np.int64) & sources) > 0


def without(X: npt.NDArray[np.float32], missing: frozenset[str]) -> npt.NDArray[np.float32]:
    """The rows with these features missing."""
    if not missing:
        return X
    X = X.copy()
    X[:, [place for place, name in enumerate(PAIR_FEATURES) if name in missing]] = np.nan
    return X
