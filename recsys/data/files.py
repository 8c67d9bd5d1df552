"""Small files that must be whole: replaced atomically, synced to the disk, missing rather than half written."""

import os
from pathlib import Path
from secrets import token_hex


def replace_text(path: Path, text: str) -> None:
    """Put `text` at `path`; a reader sees the old or the new content, a crash leaves one of them.

    Several may do it at once, on several hosts: in containers their process ids are alike.
    """
    work = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        with work.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        work.replace(path)
    except BaseException:
        work.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_text(path: Path) -> str | None:
    """Content without the last newline; None without such a file."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def sync_directory(directory: Path) -> None:
    """Make names created or renamed in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
