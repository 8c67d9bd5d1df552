"""Import: a mapping → a snapshot in memory, its tables, and a report of every row."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from recsys.data import columns as c
from recsys.data.assemble import assemble_coded
from recsys.data.coding import Coder, IdCodes, indices_in
from recsys.data.ids import ABSENT
from recsys.data.mapping import Mapping, TableSource
from recsys.data.masters import Derivation, MasterChecks
from recsys.data.merging import (
    CUSTOMERS_FILE,
    IMPORT_FILE,
    PRODUCTS_FILE,
    Base,
    appended,
    corrected,
    folded_in,
    period_replaced,
    refuse_other_facts,
    rules_as_dict,
    updated,
    with_snapshot,
)
from recsys.data.oddities import oddities_of, oddity
from recsys.data.readers import Chunk, SqlReader, read_chunks
from recsys.data.readers.text import FALLBACK
from recsys.data.report import ImportReport, RejectLog, TableReport
from recsys.data.snapshot import Snapshot, SnapshotFacts
from recsys.data.tail import OrderEvent
from recsys.data.told import told_files
from recsys.data.transactions import TransactionChecks, clean_lines
from recsys.data.validate import Checked
from recsys.errors import BaristaError, ImportRefused

Mode = Literal["replace", "append", "correct"]
Progress = Callable[[str, float], None]
"""`(stage, share done 0 … 1)`, called after every chunk and stage."""


@dataclass(frozen=True, slots=True)
class Folding:
    """What a new import is laid over.

    mode    `replace`: nothing is kept (or, with `period`, everything outside it); `append`: all orders are kept and new
            ones added; `correct`: orders the source has are replaced by the source's
    base    what is there; without it every mode is `replace`
    period  first instant and the one after the last [s], for `replace`
    events  orders the service was told of; the source wins where it has the same order
    """

    mode: Mode = "replace"
    base: Base | None = None
    period: tuple[int, int] | None = None
    events: Sequence[OrderEvent] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ImportResult:
    """A finished import, still in memory: snapshot, products and customers tables, report."""

    base: Base
    report: ImportReport

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot, in memory."""
        return self.base.snapshot

    def save(self, snapshots: Path) -> Snapshot:
        """Write the snapshot with its tables to `snapshots/<id>` and name it in the report."""
        ids = {c.PRODUCT: self.snapshot.catalogue.products, c.CUSTOMER: self.snapshot.customers}
        told = told_files(self.base.products, self.base.customers, ids)
        saved = self.snapshot.save(snapshots, self.files(), told)
        self.report.snapshot_id = saved.snapshot_id
        self.report.status = "done"
        self.report.write()
        return saved

    def files(self) -> dict[str, bytes]:
        """products.parquet, customers.parquet (where given) and import.json."""
        tables = {PRODUCTS_FILE: self.base.products, CUSTOMERS_FILE: self.base.customers}
        files = {name: _parquet(table) for name, table in tables.items() if table is not None}
        content = {"rules": rules_as_dict(self.base.rules), "facts": asdict(self.snapshot.facts)}
        return {**files, IMPORT_FILE: json.dumps(content, ensure_ascii=False, indent=1).encode()}


def run_import(
    mapping: Mapping,
    folding: Folding | None = None,
    *,
    directory: Path | None = None,
    now: int | None = None,
    sql: SqlReader | None = None,
    progress: Progress | None = None,
) -> ImportResult:
    """Read, check, code and assemble everything a mapping names.

    `directory` takes rejects.csv and report.json, also when the import is refused; `now` [s] is the import's clock,
    after which no purchase can be; `sql` reads databases (`recsys.store.sql_source.read_sql`).

    Raises:
        ImportRefused: a source is unreadable or empty, too many rows were rejected, or it does not fit what is there.
        MappingError: a mapped column is missing.
    """
    folding = folding or Folding()
    started = time.monotonic()
    report = ImportReport(folding.mode, directory=directory)
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    log = RejectLog(directory)
    run = _Run(mapping, report, log, sql, progress or (lambda _stage, _done: None), now or int(time.time()))
    try:
        base = _fold(run.base(), folding, report)
        report.status = "assembled"
        return ImportResult(base, report)
    except BaristaError as error:
        report.status, report.refused = "refused", str(error)
        raise
    finally:
        log.close()
        report.seconds = round(time.monotonic() - started, 3)
        report.write()


@dataclass(slots=True)
class _Run:
    """One import under way."""

    mapping: Mapping
    report: ImportReport
    log: RejectLog
    sql: SqlReader | None
    progress: Progress
    now: int
    odd: Counter[str] = field(default_factory=Counter)

    def base(self) -> Base:
        """The source's own snapshot and tables."""
        products = self._master("products", self.mapping.products, c.PRODUCT)
        customers = self._master("customers", self.mapping.customers, c.CUSTOMER)
        derived = {
            name: Derivation(table, column, self.mapping.business.timezone)
            for name, table, column in (
                ("products", self.mapping.products, c.PRODUCT),
                ("customers", self.mapping.customers, c.CUSTOMER),
            )
            if table is not None and table.from_transactions
        }
        coder = self._transactions(list(derived.values()))
        products = derived["products"].rows() if "products" in derived else products
        customers = derived["customers"].rows() if "customers" in derived else customers
        self.progress("sorting", 0.0)
        snapshot = assemble_coded(coder, self._facts(), products, self.mapping.rules())
        self.progress("sorting", 1.0)
        self._note_oddities(snapshot, products)
        return Base(snapshot, products, customers, self.mapping.rules())

    def _facts(self) -> SnapshotFacts:
        business = self.mapping.business
        source = self.mapping.transactions.describe()
        return SnapshotFacts(0, business.currency, business.minor_digits, business.timezone, source)

    def _master(self, name: str, table: TableSource | None, id_column: str) -> pl.DataFrame | None:
        if table is None or table.from_transactions:
            return None
        checks = MasterChecks(table, id_column, self.mapping.business.timezone)
        report = self._opened(name, table)
        chunks = read_chunks(table, table.needed(), self.sql)
        parts = [checks.rows(self._counted(name, chunk, checks.check(chunk))) for chunk in chunks]
        self._refuse_too_many_rejects(name, report)
        return pl.concat(parts).sort(id_column)

    def _transactions(self, derivations: list[Derivation]) -> Coder:
        table = self.mapping.transactions
        checks, coder = TransactionChecks(self.mapping, self.now, IdCodes()), Coder()
        report = self._opened("transactions", table)
        for chunk in read_chunks(table, self.mapping.transaction_columns(), self.sql):
            checked = self._counted("transactions", chunk, checks.check(chunk))
            self.odd.update(checked.oddities)
            coder.add(clean_lines(checked))
            wanted = replace(table.format, decimal=table.format.decimal or chunk.read_as.get("decimal", "."))
            for derivation in derivations:
                derivation.add(checked.clean, wanted)
        self._refuse_too_many_rejects("transactions", report)
        return coder

    def _opened(self, name: str, table: TableSource) -> TableReport:
        report = self.report.tables[name] = TableReport(table.describe())
        self.progress(name, 0.0)
        return report

    def _counted(self, name: str, chunk: Chunk, checked: Checked) -> Checked:
        self.report.tables[name].count(chunk, checked)
        self.log.add(name, checked.rejects)
        self.progress(name, chunk.done)
        return checked

    def _refuse_too_many_rejects(self, name: str, report: TableReport) -> None:
        if report.read == 0:
            raise ImportRefused(
                f"The {name} have no row", found=f"{report.source}: a header at most", expected="at least one row"
            )
        if report.rejected_share > self.mapping.max_rejected_share or not report.accepted:
            worst = "; ".join(f"{n} x {column}: {reason}" for (column, reason), n in report.reasons.most_common(3))
            raise ImportRefused(
                f"Too many rows of the {name} were rejected ({worst})",
                found=f"{report.rejected} of {report.read} rows",
                expected=f"at most {self.mapping.max_rejected_share:.0%} of them, and one good row",
                cure=f"See {self._rejects()}; correct the mapping or set `[limits] max_rejected_share`",
            )

    def _rejects(self) -> str:
        directory = self.report.directory
        return str(directory / "rejects.csv") if directory is not None else "the examples in the report"

    def _note_oddities(self, snapshot: Snapshot, products: pl.DataFrame | None) -> None:
        accepted = self.report.tables["transactions"].accepted
        own = self.odd.pop("own_offsets", 0)
        if 0 < own < accepted:
            self.odd["mixed_zones"] = own
        guessed = sum(
            facts.get("encoding") == FALLBACK
            for table in self.report.tables.values()
            for facts in table.read_as.values()
        )
        declared = self.mapping.transactions.format.encoding
        if guessed and not declared:
            self.odd["guessed_encoding"] = guessed
        listed = None
        if products is not None:
            sold = snapshot.catalogue.products.subset(np.unique(snapshot.history.line_product))
            listed = int((indices_in(sold, products[c.PRODUCT]) != ABSENT).sum())
        self.report.oddities = [oddity(name, count, accepted) for name, count in self.odd.items() if count]
        self.report.oddities += oddities_of(snapshot, listed)


def _fold(new: Base, folding: Folding, report: ImportReport) -> Base:
    """Lay the source's data over what is there, then the events over both."""
    old = folding.base
    result = new
    if old is not None and (folding.mode != "replace" or folding.period is not None):
        refuse_other_facts(old, new)
        merged = replace(
            new,
            products=updated(old.products, new.products, c.PRODUCT),
            customers=updated(old.customers, new.customers, c.CUSTOMER),
        )
        if folding.mode == "append":
            snapshot, report.merged = appended(old, merged)
        elif folding.mode == "correct":
            snapshot, report.merged = corrected(old, merged)
        else:
            snapshot, report.merged = period_replaced(old, merged, *(folding.period or (0, 0)))
        result = with_snapshot(merged, snapshot)
    if folding.events:
        snapshot, counts, report.differences = folded_in(result, folding.events)
        report.merged = {**report.merged, **counts}
        result = with_snapshot(result, snapshot)
    _note_counts(result.snapshot, report)
    return result


def _note_counts(snapshot: Snapshot, report: ImportReport) -> None:
    history = snapshot.history
    report.counts = {
        "customers": history.n_customers,
        "orders": history.n_orders,
        "lines": history.n_lines,
        "products": snapshot.catalogue.n_products,
        "items": snapshot.catalogue.n_items,
    }
    report.facts = asdict(snapshot.facts)


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()
