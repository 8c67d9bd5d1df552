"""A shop's export in a few lines: the fixture `shop` writes files and imports them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.data.importing import Folding, ImportResult, run_import
from recsys.data.mapping_file import mapping_of

NOW = 1_767_225_600
"""2026-01-01T00:00Z [s]: the clock of test imports."""

COLUMNS = {
    "customer_id": "who",
    "occurred_at": "when",
    "product_id": "what",
    "quantity": "n",
    "amount": "paid",
    "order_id": "bill",
}


@dataclass
class Shop:
    """Files in a directory, and imports of them."""

    directory: Path
    format: dict[str, Any] = field(default_factory=dict)

    def write(self, content: str | bytes, name: str = "sales.csv") -> str:
        """Write a file and return its name."""
        data = content.encode() if isinstance(content, str) else content
        (self.directory / name).write_bytes(data)
        return name

    def mapping(self, file: str = "sales.csv", **more: Any) -> dict[str, Any]:
        """Parsed TOML of a mapping: `columns`, `products`, `business` … replace the usual parts."""
        columns = more.pop("columns", COLUMNS)
        sections = {name: more.pop(name) for name in list(more) if isinstance(more[name], dict) and name != "opt_outs"}
        limits = sections.pop("limits", {"max_rejected_share": 1.0})
        return {"transactions": {"file": file, "columns": columns, **more}, "limits": limits, **sections}

    def run(self, file: str = "sales.csv", folding: Folding | None = None, **more: Any) -> ImportResult:
        """Import with the usual columns."""
        mapping = mapping_of(self.mapping(file, **more), self.directory)
        return run_import(mapping, folding, directory=self.directory / "import", now=NOW)

    def sells(self, text: str, **more: Any) -> ImportResult:
        """Write `text` as sales.csv and import it."""
        self.write(text)
        return self.run(**more)

    def rejects(self) -> list[dict[str, Any]]:
        """Rows of rejects.csv."""
        return pl.read_csv(self.directory / "import" / "rejects.csv", infer_schema=False).to_dicts()

    def report(self) -> dict[str, Any]:
        """Content of report.json."""
        return json.loads((self.directory / "import" / "report.json").read_text())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with an empty directory."""
    return Shop(tmp_path)


@pytest.fixture
def rows_of() -> Callable[[Any], list[tuple[Any, ...]]]:
    """Lines of a snapshot as (customer, product, seconds, quantity, minor units), sorted."""

    def rows(snapshot: Any) -> list[tuple[Any, ...]]:
        history, products = snapshot.history, snapshot.catalogue.products
        return sorted(
            (
                snapshot.customers[customer],
                products[int(history.line_product[line])],
                int(history.order_time[order]),
                float(history.line_quantity[line]),
                int(history.line_amount[line]),
            )
            for customer in range(history.n_customers)
            for order in range(*history.span(customer))
            for line in range(history.line_start[order], history.line_start[order + 1])
        )

    return rows
