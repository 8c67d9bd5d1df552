"""The import's documentation says what is: mapping files are read, tables name every key, column and oddity."""

import re
import tomllib
from pathlib import Path

import pytest

from recsys.data.mapping import CUSTOMER_COLUMNS, TRANSACTION_COLUMNS
from recsys.data.mapping_file import COLUMN_KEYS, TABLE_KEYS, read_mapping
from recsys.data.oddities import MEANINGS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "import.md").read_text(encoding="utf-8")
FILES = sorted((DOCS / "mappings").glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_mapping_files_are_read(path: Path) -> None:
    """Every example mapping is a mapping."""
    assert read_mapping(path).transactions.columns["customer_id"].columns


def test_blocks_are_the_files() -> None:
    """The mappings shown are those of docs/mappings, each once."""
    blocks = [tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)]
    files = {path.name: tomllib.loads(path.read_text(encoding="utf-8")) for path in FILES}
    assert [next((n for n, file in files.items() if file == block), "") for block in blocks].count("") == 0


@pytest.mark.parametrize("name", [*TRANSACTION_COLUMNS, *CUSTOMER_COLUMNS, *TABLE_KEYS, *COLUMN_KEYS, *MEANINGS])
def test_everything_is_named(name: str) -> None:
    """Every column, key and oddity stands in docs/import.md."""
    assert re.search(rf"\b{name}\b", TEXT)


@pytest.mark.parametrize(("name", "meaning"), MEANINGS.items())
def test_oddities_are_explained_as_in_the_report(name: str, meaning: str) -> None:
    """The table of oddities carries the sentences of the report."""
    assert f"| `{name}` | {meaning} |" in TEXT
