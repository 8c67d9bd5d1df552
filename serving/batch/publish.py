"""A directory of files that appears whole: written aside, synced, then put in place at once."""

import ctypes
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

from recsys.data.files import sync_directory
from recsys.data.snapshot import file_digest
from recsys.errors import WorkspaceError

MANIFEST = "manifest.json"

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """An empty directory beside `out`, gone after the block unless it was put in place.

    It is locked meanwhile, which says that it is no remnant.

    Raises:
        WorkspaceError: `out` holds something that no run published.
    """
    check_place(out)
    work = out.absolute().with_name(f".{out.name}.writing-{os.getpid()}")
    rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
    except OSError as error:
        raise WorkspaceError("The scores can't be written", found=str(error), cure="Name another --out") from error
    lock = os.open(work, os.O_RDONLY)
    try:
        with suppress(OSError):  # a filesystem without locks: nobody takes it for a remnant there
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield work
    finally:
        os.close(lock)
        rmtree(work, ignore_errors=True)


def clear_remnants(out: Path) -> None:
    """Remove what killed runs left beside `out`; what another run is writing there, of any workspace, stays."""
    parent, kinds = out.absolute().parent, (f".{out.name}.writing-", f".{out.name}.former-")
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        if path.name.startswith(kinds) and _is_left(path):
            rmtree(path, ignore_errors=True)


def _is_left(directory: Path) -> bool:
    """Whether nobody holds a lock on a directory; False where that can't be told."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def check_place(out: Path) -> None:
    """Let `out` pass when it is missing, empty or an earlier publication.

    Raises:
        WorkspaceError: it is something else, which is never overwritten.
    """
    if out.is_dir() and (not any(out.iterdir()) or _is_publication(out / MANIFEST)):
        return
    if out.exists() or out.is_symlink():
        raise WorkspaceError(
            "The output directory holds something else",
            found=str(out),
            expected="a new or empty directory, or an earlier publication",
            cure="Name another --out, or remove it",
        )


def _is_publication(manifest: Path) -> bool:
    """Whether a run wrote it: web pages and packages have a file of that name, too."""
    try:
        told = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and {"run_id", "files"} <= told.keys()


def put_in_place(work: Path, out: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest with the digest of every file, sync all, and exchange `work` with `out` in one step."""
    sizes = {path.name: {"sha256": file_digest(path), "bytes": path.stat().st_size} for path in sorted(work.iterdir())}
    manifest["files"] = {name: facts | manifest["files"].get(name, {}) for name, facts in sizes.items()}
    (work / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    for path in work.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_directory(work)
    out = out.absolute()
    if not out.exists():
        work.rename(out)
    elif not _exchanged(work, out):
        former = out.with_name(f".{out.name}.former-{os.getpid()}")
        out.rename(former)
        work.rename(out)
        rmtree(former)
    sync_directory(out.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system can't."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    arguments = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return rename is not None and rename(*arguments) == 0
