"""A workspace as one file, verified byte for byte on its way back."""

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

from recsys.data.files import sync_directory
from recsys.errors import WorkspaceError
from recsys.settings import Settings
from recsys.store import copy_sqlite, relocate_sqlite
from recsys.workspace.lock import exclusive
from recsys.workspace.places import PLACES
from recsys.workspace.workspace import Workspace

FORMAT = 1
"""Version of the backup's layout."""

MANIFEST = "backup.json"
"""Last member: format, original directory, instant, SHA-256 of every other member."""

CODECS = {".zst": "zstd", ".gz": "gzip", ".tgz": "gzip"}

_CHUNK = 1 << 20


def backup(workspace: Workspace, target: Path) -> dict[str, Any]:
    """Write the whole workspace to `target` (`.tar.zst` or `.tar.gz`), whole or not at all; its manifest.

    Databases are copied consistently while the service goes on writing; a database or MLflow on a server is not in it.

    Raises:
        WorkspaceError: the ending of `target` is unknown, or it can't be written.
        WorkspaceLocked: an import, training or scoring is at work.
    """
    codec = _codec(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with workspace.writing(), TemporaryDirectory() as scratch:
        try:
            manifest = _write(workspace.directory, partial, codec, Path(scratch))
            partial.replace(target)
            sync_directory(target.absolute().parent)
        except OSError as error:
            raise WorkspaceError("The backup can't be written", found=str(error)) from error
        finally:
            partial.unlink(missing_ok=True)
    return manifest


def restore(settings: Settings, source: Path, *, force: bool = False) -> Workspace:
    """Put a backup at the workspace's place; with `force` it replaces what is there.

    Every file is compared with its digest before anything is moved, so a damaged backup changes nothing.

    Raises:
        WorkspaceError: the backup is damaged, or a workspace is there and `force` is not given.
        WorkspaceLocked: a process writes to the workspace to be replaced.
    """
    target = settings.workspace.resolve()
    occupied = target.is_dir() and any(target.iterdir())
    if occupied and not force:
        raise WorkspaceError(
            "There is a workspace already",
            found=str(target),
            expected="an empty place",
            cure="Add --force to replace it",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name}.restoring-{os.getpid()}")
    try:
        _unpack(source, staging, target)
        _swap(staging, target, occupied=occupied)
    finally:
        rmtree(staging, ignore_errors=True)
    return Workspace.create(settings)


def _write(directory: Path, partial: Path, codec: str, scratch: Path) -> dict[str, Any]:
    import pyarrow as pa  # here: every worker loads this module, none makes a backup

    digests: dict[str, str] = {}
    partial.touch(mode=0o600)  # settings and events are nobody else's business
    with pa.CompressedOutputStream(str(partial), codec) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for name, path in _members(directory, scratch):
            digests[name] = _add(tar, name, path)
        manifest = {
            "format": FORMAT,
            "workspace": str(directory.resolve()),
            "made_at": int(time.time()),
            "files": digests,
        }
        content = json.dumps(manifest, indent=1).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mtime = len(content), int(time.time())
        tar.addfile(entry, io.BytesIO(content))
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    return manifest


def _members(directory: Path, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Name and file of everything to keep; databases as consistent copies, unfinished work (dot names) left out.

    Where runs were published is left out as well: a restored copy must not rewrite what the original published.
    """
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        name = relative.as_posix()
        hidden = any(part.startswith(".") for part in relative.parts)
        if not path.is_file() or hidden or name in {"lock", f"scores/{PLACES}"}:
            continue
        if path.parent == directory and path.suffix == ".db":
            copy_sqlite(path, scratch / name)
            yield name, scratch / name
        elif not (path.parent == directory and path.name.endswith((".db-wal", ".db-shm", ".db-journal"))):
            yield name, path


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a file under `name`; the SHA-256 of exactly what was added."""
    content = path.read_bytes() if path.stat().st_size < _CHUNK else None
    if content is not None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime = len(content), int(path.stat().st_mtime)
        tar.addfile(entry, io.BytesIO(content))
        return hashlib.sha256(content).hexdigest()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        tar.addfile(tar.gettarinfo(arcname=name, fileobj=file), file)
    return digest


def _unpack(source: Path, staging: Path, target: Path) -> None:
    """Extract `source` into `staging`, verify it, and move the addresses in `mlflow.db` to `target`."""
    staging.mkdir(parents=True)
    with _reading(source) as tar:
        found = {entry.name: _extract(tar, entry, staging) for entry in tar}
    found.pop(MANIFEST, None)
    manifest = _manifest(staging / MANIFEST, source)
    if found != manifest["files"]:
        damaged = sorted(name for name, _ in set(found.items()) ^ set(manifest["files"].items()))
        raise _damaged(source, f"{len(damaged)} files differ, first {damaged[0]}")
    (staging / MANIFEST).unlink()
    if (staging / "mlflow.db").exists() and manifest["workspace"] != str(target):
        relocate_sqlite(staging / "mlflow.db", manifest["workspace"], str(target))


@contextmanager
def _reading(source: Path) -> Iterator[tarfile.TarFile]:
    import pyarrow as pa

    codec = _codec(source)
    try:
        with pa.CompressedInputStream(str(source), codec) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            yield tar
    except FileNotFoundError as error:
        raise WorkspaceError("No backup here", found=str(source)) from error
    except (tarfile.TarError, EOFError, pa.ArrowException, OSError) as error:
        raise _damaged(source, str(error)) from error


def _extract(tar: tarfile.TarFile, entry: tarfile.TarInfo, staging: Path) -> str:
    """Write one member below `staging`; its SHA-256.

    Raises:
        WorkspaceError: it is not a plain file, or its name leads elsewhere.
    """
    name = PurePosixPath(entry.name)
    if not entry.isfile() or name.is_absolute() or ".." in name.parts:
        raise WorkspaceError("The backup holds what no backup of ours does", found=entry.name, expected="plain files")
    path = staging / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    content = tar.extractfile(entry)
    with path.open("wb") as file:
        while content is not None and (chunk := content.read(_CHUNK)):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    os.utime(path, (entry.mtime, entry.mtime))
    return digest.hexdigest()


def _manifest(path: Path, source: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(source, f"no {MANIFEST} at its end") from error
    if manifest.get("format") != FORMAT:
        raise WorkspaceError(
            "The backup has another format", found=manifest.get("format"), expected=str(FORMAT), cure="Use its version"
        )
    return manifest


def _swap(staging: Path, target: Path, *, occupied: bool) -> None:
    """Put `staging` at `target`; what was there comes back if that fails."""
    if not occupied:
        if target.is_dir():
            target.rmdir()
        staging.rename(target)
        return
    former = target.with_name(f".{target.name}.before-restore-{os.getpid()}")
    with exclusive(target / "lock"):
        target.rename(former)
        try:
            staging.rename(target)
        except OSError:
            former.rename(target)
            raise
    sync_directory(target.parent)
    rmtree(former)


def _codec(path: Path) -> str:
    codec = CODECS.get(path.suffix)
    if codec is None:
        raise WorkspaceError("Unknown kind of backup", found=path.name, expected="a name ending in .tar.zst or .tar.gz")
    return codec


def _damaged(source: Path, found: str) -> WorkspaceError:
    return WorkspaceError(f"The backup {source.name} is damaged", found=found, cure="Use another backup")
