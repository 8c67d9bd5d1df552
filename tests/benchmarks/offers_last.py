"""The last basket of every customer in products, customers split at random, facts of the base from earlier rows only.

Items are products with enough purchases in the histories. The model learns from the last baskets of train customers
and from the three before of everyone; behind each row stand facts fitted on orders before its week, last baskets left
out of them for all customers, and the customer's own orders up to the second before the basket.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys.data.catalogue import Catalogue
from recsys.data.clock import DAY
from recsys.data.history import PurchaseHistory
from recsys.data.snapshot import Snapshot
from recsys.decisioning.candidates import MIXED, NEW
from recsys.decisioning.gather import OffersTable, offers_table
from recsys.evaluation.baskets_data import Baskets, Indices, Keyset
from recsys.evaluation.baskets_methods import BASELINES
from recsys.evaluation.next_basket import LONGEST, Lists, Method, Problem, problem_of
from recsys.evaluation.offers_baselines import baskets_and_orders
from recsys.population.facts import Population
from recsys.population.fit import fit_population
from tests.benchmarks.offers_baskets import Asked, run, table
from tests.benchmarks.offers_cases import MODEL, OfferCase
from tests.benchmarks.offers_data import Question
from tests.benchmarks.offers_product import MISSES, THREADS, grown, ranked
from tests.benchmarks.offers_windows import top
from training.backtesting import data_end

STEPS, WEEKS = 3, 8
"""Baskets before the last that are learned from, and the weeks at the end of the data they may lie in."""


def cases(question: Question, snapshot: Snapshot, *, final: bool) -> Iterator[OfferCase]:
    """One case over all splits; validation asks the 8%, `final` the 20%."""
    last = LastBaskets.of(snapshot, question.least_purchases)
    asked = []
    for seed in range(question.splits):
        keyset = split_of(last.baskets.n_users, seed)
        asked.append(Asked(*problem_of(last.baskets, keyset.train, keyset.test if final else keyset.validation)))
    methods: dict[str, Method] = {MODEL: partial(product, last), **BASELINES}
    runs = {name: run(method, asked) for name, method in methods.items()}
    tables = tuple(table(part, runs, last.baskets.n_users) for part in ("mixed", "new"))
    costs = {name: each.cost for name, each in runs.items()}
    facts = {"items": float(last.baskets.n_items), "users": float(last.baskets.n_users)}
    split = "test" if final else "validation"
    yield OfferCase("last_basket", question.data, question.item_level, "", 0, split, tables, costs, facts)


def split_of(n_users: int, seed: int) -> Keyset:
    """72% train, 8% validation, 20% test."""
    drawn = np.random.default_rng(seed).permutation(n_users)
    first, second = round(0.72 * n_users), round(0.80 * n_users)
    return Keyset(*(np.sort(part) for part in np.split(drawn, [first, second])))


@dataclass(frozen=True, eq=False)
class LastBaskets:
    """Purchases of the items that count, and the instants [s] of each basket."""

    snapshot: Snapshot
    baskets: Baskets
    orders: Indices

    @classmethod
    def of(cls, snapshot: Snapshot, least: int) -> "LastBaskets":
        """Items with at least `least` baskets in the histories, customers with at least two baskets."""
        baskets, _ = baskets_and_orders(snapshot, data_end(snapshot))
        counts = np.bincount(baskets.keep(~baskets.is_last()).item, minlength=baskets.n_items)
        small = replace(snapshot, catalogue=with_items(snapshot.catalogue, np.flatnonzero(counts >= least)))
        found, orders = baskets_and_orders(small, data_end(snapshot))
        enough = np.diff(found.basket_start)[found.owner] > 1
        return cls(small, found.keep(enough), orders[enough])

    @cached_property
    def times(self) -> npt.NDArray[np.int64]:
        """Instant of each basket [s]."""
        return np.asarray(self.snapshot.history.order_time[self.orders])

    @cached_property
    def earlier(self) -> Snapshot:
        """The snapshot without anybody's last basket."""
        kept = np.ones(self.snapshot.history.n_orders, np.bool_)
        kept[self.orders[self.baskets.is_last()]] = False
        return replace(self.snapshot, history=with_orders(self.snapshot.history, kept))

    @cached_property
    def asked_rows(self) -> dict[int, OffersTable]:
        """Candidates before each customer's last basket, by mode; `customer` is the position among all users."""
        baskets = np.flatnonzero(self.baskets.is_last())
        return {mode: rows_of(self, baskets, mode, thin=False)[0] for mode in (MIXED, NEW)}

    @cached_property
    def learned_rows(self) -> tuple[OffersTable, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Rows before the last baskets and the `STEPS` before them: table, hits, whether the basket is the last."""
        age = self.baskets.basket_start[1:][self.baskets.owner] - 1 - np.arange(len(self.orders))
        recent = self.times > data_end(self.snapshot) - WEEKS * 7 * DAY
        return rows_of(self, np.flatnonzero((age <= STEPS) & recent), MIXED, thin=True)


def rows_of(
    last: LastBaskets, baskets: Indices, mode: int, *, thin: bool
) -> tuple[OffersTable, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Candidates one second before each of `baskets`, whether they are in it, and whether it is the customer's last."""
    facts, random = facts_by_week(last, baskets), np.random.default_rng(0)
    parts, hits, newest = [], [], []
    is_last, owner = last.baskets.is_last(), last.baskets.owner
    for basket in baskets:
        population = facts[week_of(last, int(basket))]
        customer = owner[basket]
        found = offers_table(
            last.snapshot, population, int(last.times[basket]) - 1, np.array([customer]), mode=mode, threads=1
        )
        held = last.baskets.item[last.baskets.item_start[basket] : last.baskets.item_start[basket + 1]]
        hit = np.isin(found.item, held)
        kept = hit | (random.random(len(hit)) < MISSES) if thin else np.ones(len(hit), np.bool_)
        owners = np.full(int(kept.sum()), customer, np.int32)
        parts.append((found.X[kept], owners, found.item[kept], found.known[kept], found.sources[kept]))
        hits.append(hit[kept])
        newest.append(np.full(int(kept.sum()), is_last[basket]))
    columns: list[Any] = [np.concatenate(each) for each in zip(*parts, strict=True)]
    return OffersTable(*columns), np.concatenate(hits), np.concatenate(newest)


def week_of(last: LastBaskets, basket: int) -> int:
    """The instant [s] its facts are fitted at: the end of a week before it, of four weeks where it is long ago."""
    end = data_end(last.snapshot)
    weeks = int((end - last.times[basket]) // (7 * DAY)) + 1
    return end - (weeks if weeks <= WEEKS + 1 else -(-weeks // 4) * 4) * 7 * DAY


def facts_by_week(last: LastBaskets, baskets: Indices) -> dict[int, Population]:
    """Facts of the base from what was bought up to each week that the baskets need, last baskets left out."""
    return {week: fact_of(last, week) for week in sorted({week_of(last, int(each)) for each in baskets})}


FACTS: dict[tuple[int, int], Population] = {}


def fact_of(last: LastBaskets, week: int) -> Population:
    """Facts at the end of a week; kept, because asked and learned rows need the same."""
    key = (id(last), week)
    if key not in FACTS:
        history = with_orders(last.earlier.history, last.earlier.history.order_time <= week)
        FACTS[key] = fit_population(replace(last.earlier.with_facts(as_of=week), history=history), threads=THREADS)
    return FACTS[key]


def product(last: LastBaskets, problem: Problem) -> Lists:
    """Lists by trees that learned from train customers' last baskets and everyone's earlier ones."""
    rows, hit, newest = last.learned_rows
    kept = ~newest | np.isin(rows.customer, problem.learn)
    score = grown(rows.X[kept], hit[kept], frozenset(), 0)
    return Lists(*(lists_of(each, problem, score) for each in last.asked_rows.values()))


def lists_of(table: OffersTable, problem: Problem, score: Any) -> npt.NDArray[np.int32]:
    """Best items of the asked."""
    place = np.full(problem.history.n_users, -1, np.int32)
    place[problem.asked] = np.arange(len(problem.asked), dtype=np.int32)
    kept = place[table.customer] >= 0
    mine = OffersTable(*(getattr(table, name)[kept] for name in OffersTable.__slots__))
    return top(ranked(replace(mine, customer=place[mine.customer]), score), len(problem.asked), LONGEST)


def with_items(catalogue: Catalogue, items: Indices) -> Catalogue:
    """The catalogue with these items only, all of them offerable; products of others have none."""
    code = np.full(catalogue.n_items, -1, np.int32)
    code[items] = np.arange(len(items), dtype=np.int32)
    owned = catalogue.product_item
    return replace(
        catalogue,
        items=catalogue.items.subset(items),
        item_names=catalogue.item_names.subset(items),
        product_item=np.where(owned >= 0, code[np.maximum(owned, 0)], -1).astype(np.int32),
        item_family=catalogue.item_family[items],
        item_group=catalogue.item_group[items],
        offerable=np.ones(len(items), np.bool_),
        price=catalogue.price[items],
    )


def with_orders(history: PurchaseHistory, kept: npt.NDArray[np.bool_]) -> PurchaseHistory:
    """The history with some of its orders, codes unchanged; `kept` (n_orders,)."""
    owner = np.repeat(np.arange(history.n_customers), np.diff(history.order_start))
    sizes = np.diff(history.line_start.astype(np.int64))
    lines = np.repeat(kept, sizes)
    names = [field.name for field in fields(history)]
    of_orders = [name for name in names if name.startswith("order_") and name != "order_start"]
    of_lines = [name for name in names if name.startswith("line_") and name != "line_start"]
    columns = {name: getattr(history, name)[kept] for name in of_orders}
    columns |= {name: getattr(history, name)[lines] for name in of_lines}
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=history.n_customers))])
    line_start = np.concatenate([[0], np.cumsum(sizes[kept])]).astype(np.uint32)
    return PurchaseHistory(order_start=starts.astype(np.int64), line_start=line_start, **columns)
