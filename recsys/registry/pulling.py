"""Filling the bundle cache: download beside, verify, rename, then move the pointer."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from recsys.data.files import read_text, replace_text, sync_directory
from recsys.errors import BundleError, WrongModel
from recsys.models.bundle import Bundle, read_bundle

BUNDLE_PATH = "model/artifacts/bundle"
"""Where a run keeps its bundle."""


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
    """Make `version` the champion (or `role`) of the cache folder of one model; None when it already is.

    `fetch(run_id, target)` downloads a bundle below `target` and says where it is; a cached one with the `digest` of
    the version is taken as it is.
    """
    wanted, before = str(version), read_text(cache / role)
    if before == wanted and (cache / wanted).is_dir():
        return None
    if digest and _holds(cache / wanted, cache.name, key, digest):
        replace_text(cache / role, f"{wanted}\n")
        return Change(cache.name, before, wanted, role=role)
    cache.mkdir(parents=True, exist_ok=True)
    staging = cache / f".pulling-{os.getpid()}"
    try:
        staging.mkdir(exist_ok=True)
        bundle = fetch(run_id, staging)
        checked_bundle(bundle, cache.name, key)
        _place(bundle, cache / wanted)
    except BundleError as error:
        return Change(cache.name, before, wanted, str(error), role)
    finally:
        rmtree(staging, ignore_errors=True)
    replace_text(cache / role, f"{wanted}\n")
    return Change(cache.name, before, wanted, role=role)


def _holds(directory: Path, name: str, key: bytes | None, digest: str) -> bool:
    """Whether a cached bundle is whole and the one with this digest."""
    try:
        return directory.is_dir() and checked_bundle(directory, name, key).digest == digest
    except BundleError:
        return False


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
