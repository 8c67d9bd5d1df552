"""SQLite files as a whole: a consistent copy of one in use, and a copy that moved to another folder."""

import sqlite3
from contextlib import closing
from pathlib import Path

from recsys.errors import StoreError


def copy_sqlite(source: Path, target: Path) -> None:
    """Consistent copy of a database while others write to it (SQLite's online backup), as one file without a log.

    Raises:
        StoreError: the source is damaged or not a database.
    """
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
            found = new.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"{source.name} can't be copied", found=str(error)) from error
    if found != "ok":
        raise StoreError(f"{source.name} is damaged", found=found, expected="ok", cure="Restore a backup")


def relocate_sqlite(file: Path, old: str, new: str) -> int:
    """Replace the path `old` by `new` where a text is `old` or lies below it; how many values changed.

    MLflow writes absolute artifact addresses into its database, so a restored workspace needs them moved.
    """
    changed = 0
    with closing(sqlite3.connect(file)) as connection, connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            for column in columns:
                for prefix in ("", "file://"):
                    changed += _relocated(connection, table, column, (prefix + old, prefix + new))
    return changed


def _relocated(connection: sqlite3.Connection, table: str, column: str, move: tuple[str, str]) -> int:
    old, new = move
    statement = (
        f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) '
        f'WHERE typeof("{column}") = \'text\' AND ("{column}" = ? OR substr("{column}", 1, ?) = ?)'
    )
    return connection.execute(statement, (new, len(old) + 1, old, len(old) + 1, old + "/")).rowcount
