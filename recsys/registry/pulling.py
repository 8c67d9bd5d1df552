"""Filling the bundle cache: download beside, verify, rename, then move the pointer."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from socket import gethostname

from recsys.data.files import read_text, replace_text, sync_directory
from recsys.errors import BundleError, WrongModel
from recsys.models.bundle import Bundle, read_bundle
from recsys.models.refusal import forget_refusal, note_refusal

BUNDLE_PATH = "model/artifacts/bundle"
"""Where a run keeps its bundle."""

LEFT = 3_600.0
"""After how long the folder of a download belongs to nobody: its process was killed [s]."""

_Signs = frozenset[tuple[str, int, int, int]]

_VERIFIED: dict[Path, tuple[bytes | None, _Signs, str]] = {}
"""Key, signs of the files and digest of cached bundles that held: rounds a few seconds apart read none of them again.

What serves is verified when it is opened, whatever is remembered here.
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A version that was taken over, or `refused` with the reason; `before` is what had the role until now.

    role    `champion` or `challenger`; `after` is empty for a challenger that was withdrawn
    """

    name: str
    before: str | None
    after: str
    refused: str = ""
    role: str = "champion"


def checked_bundle(directory: Path, name: str, key: bytes | None) -> Bundle:
    """The bundle in `directory`, verified to the last byte.

    Raises:
        BundleError: it is damaged, unsigned, or not a bundle of the model `name`.
    """
    bundle = read_bundle(directory, key)
    if bundle.content.name != name:
        raise WrongModel("The bundle is another model's", found=bundle.content.name, expected=name)
    return bundle


def pull_champion(
    fetch: Callable[[str, Path], Path],
    cache: Path,
    version: int,
    run_id: str,
    key: bytes | None,
    role: str = "champion",
    digest: str = "",
) -> Change | None:
    """Make `version` the champion (or `role`) of the cache folder of one model; None when it already is, and whole.

    One that is refused is noted there, for those who serve, until it is taken over or another is wanted.

    `fetch(run_id, target)` downloads a bundle below `target` and says where it is; a cached one with the `digest` of
    the version is taken as it is, a damaged one replaced.
    """
    wanted, before = str(version), read_text(cache / role)
    if (digest or before == wanted) and _holds(cache / wanted, cache.name, key, digest):
        forget_refusal(cache, role)
        if before == wanted:
            return None
        replace_text(cache / role, f"{wanted}\n")
        return Change(cache.name, before, wanted, role=role)
    cache.mkdir(parents=True, exist_ok=True)
    _sweep(cache)
    staging = cache / f".pulling-{gethostname()}-{os.getpid()}-{token_hex(4)}"  # in two pods process ids are alike
    try:
        staging.mkdir()
        bundle = fetch(run_id, staging)
        checked_bundle(bundle, cache.name, key)
        _place(bundle, cache / wanted)
    except BundleError as error:
        note_refusal(cache, role, wanted, error)
        return Change(cache.name, before, wanted, str(error), role)
    finally:
        rmtree(staging, ignore_errors=True)
    replace_text(cache / role, f"{wanted}\n")
    forget_refusal(cache, role)
    return Change(cache.name, before, wanted, role=role)


def _sweep(cache: Path) -> None:
    """Remove what downloads that were killed left behind."""
    for left in cache.glob(".pulling-*"):
        with suppress(OSError):  # another one sweeps, too
            if time.time() - left.stat().st_mtime > LEFT:
                rmtree(left, ignore_errors=True)


def _holds(directory: Path, name: str, key: bytes | None, digest: str) -> bool:
    """Whether a cached bundle is whole and the one with this digest, where the version says one."""
    try:
        signs = _signs(directory)
        known = _VERIFIED.get(directory)
        if known is None or known[:2] != (key, signs):
            known = _VERIFIED[directory] = key, signs, checked_bundle(directory, name, key).digest
        return digest in {"", known[2]}
    except (BundleError, OSError):
        return False


def _signs(directory: Path) -> _Signs:
    """What changes when a file of a bundle does.

    Raises:
        OSError: there is no such directory, or it can't be read.
    """
    found = ((path.name, path.stat()) for path in directory.iterdir())
    return frozenset((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in found)


def withdraw_challenger(cache: Path) -> Change | None:
    """Let nothing challenge the model of the cache folder any more; None when nothing does."""
    before = read_text(cache / "challenger")
    if before is None:
        return None
    (cache / "challenger").unlink(missing_ok=True)
    return Change(cache.name, before, "", role="challenger")


def _place(bundle: Path, target: Path) -> None:
    """Move a verified bundle to its place; what was there under the same version is replaced."""
    for path in bundle.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if target.exists():
        rmtree(target)
    bundle.rename(target)
    sync_directory(target.parent)
