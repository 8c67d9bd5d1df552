"""The TOML mapping: what it says, and what is said of a wrong one."""

from pathlib import Path
from typing import Any

import pytest

from recsys.data.mapping import ColumnSource
from recsys.data.mapping_file import mapping_of, read_mapping
from recsys.errors import MappingError

COLUMNS = {"customer_id": "who", "occurred_at": "when", "product_id": "what"}


def parsed(**sections: Any) -> dict[str, Any]:
    """A correct mapping with sections replaced or added."""
    return {"transactions": {"file": "sales.csv", "columns": COLUMNS}, **sections}


def table(**more: Any) -> dict[str, Any]:
    """A transactions section with keys replaced or added."""
    return {"file": "sales.csv", "columns": COLUMNS, **more}


def test_paths_start_at_the_mapping(tmp_path: Path) -> None:
    """A relative file is looked for beside the mapping."""
    (tmp_path / "m.toml").write_text(
        '[transactions]\nfile = "a/*.csv"\n[transactions.columns]\n'
        'customer_id = "who"\noccurred_at = "when"\nproduct_id = {constant = "CD"}\n'
    )
    mapping = read_mapping(tmp_path / "m.toml")
    assert (mapping.transactions.files, mapping.transactions.columns["product_id"]) == (
        (tmp_path.resolve() / "a/*.csv",),
        ColumnSource(constant="CD"),
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"products": {}}, r"No \[transactions\]"),
        (parsed(product={}), r"Unknown key in the mapping.*'product'.*Did you mean `products`\?"),
        (parsed(transactions=table(seperator=";")), r"Unknown key.*Did you mean `separator`\?"),
        (parsed(transactions=table(columns={**COLUMNS, "ammount": "x"})), r"Did you mean `amount`\?"),
        (parsed(transactions=table(columns={"customer_id": "who"})), "where occurred_at comes from"),
        (parsed(transactions={"columns": COLUMNS}), "does not say where its rows are"),
        (parsed(transactions=table(url="sqlite://")), "does not say where its rows are"),
        (parsed(transactions={"url": "sqlite://", "columns": COLUMNS}), "does not say where its rows are"),
        (parsed(transactions=table(**{"from": "transactions"})), r"\[transactions\] from"),
        (parsed(transactions=table(header="yes")), "header.*'yes'.*true or false"),
        (parsed(transactions=table(decimal=";")), "decimal"),
        (parsed(transactions=table(separator=";;")), "separator.*one character"),
        (parsed(transactions=table(format="json")), "format.*csv, whitespace"),
        (parsed(transactions=table(zone="Mars/Base")), "zone.*'Mars/Base'"),
        (parsed(business={"timezone": "Moscow"}), r"\[business\] timezone.*'Moscow'"),
        (parsed(business={"minor_digits": 9}), "minor_digits"),
        (parsed(business={"minor_digits": True}), "a whole number"),
        (parsed(items={"levels": ["group"]}), r"levels that \[products.columns\] does not map: group"),
        (parsed(items={"levels": ["group"], "item_level": "family"}), "item_level.*group, product"),
        (parsed(items={"not_offerable": {"grup": ["x"]}}), r"not_offerable"),
        (parsed(limits={"max_rejected_share": 2}), "max_rejected_share"),
        (
            parsed(transactions=table(columns={**COLUMNS, "store_id": {"negative": True, "column": "s"}})),
            "only for discount",
        ),
        (
            parsed(transactions=table(columns={**COLUMNS, "store_id": {"column": "s", "constant": "t"}})),
            "one of column",
        ),
        (parsed(transactions=table(columns={**COLUMNS, "amount": 5})), "amount.*5"),
        (parsed(products={"file": "p.csv", "columns": {"product_id": "id"}, "attributes": {"name": "n"}}), "under"),
        (parsed(products={"file": "p.csv", "columns": {"product_id": "id"}, "opt_outs": {"email": "e"}}), "opt_outs"),
    ],
)
def test_a_wrong_mapping_says_what_is_wrong(content: dict[str, Any], message: str) -> None:
    """Unknown keys with the nearest known one, wrong values with what is expected."""
    with pytest.raises(MappingError, match=message):
        mapping_of(content, Path())


def test_text_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    """The message names the file and where it goes wrong."""
    (tmp_path / "m.toml").write_text("[transactions\n")
    with pytest.raises(MappingError, match=r"m\.toml is no TOML.*line 1"):
        read_mapping(tmp_path / "m.toml")


def test_an_address_is_never_described(tmp_path: Path) -> None:
    """What reports call a database source holds no password."""
    source = {"url": "postgresql://joe:secret@host/db", "query": "SELECT 1", "columns": COLUMNS}
    assert "secret" not in mapping_of(parsed(transactions=source), tmp_path).transactions.describe()
