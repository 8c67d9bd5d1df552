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
    """A champion that was taken over, or `refused` with the reason; `before` is what served until now."""

    name: str
    before: str | None
    after: str
    refused: str = ""


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
    fetch: Callable[[str, Path], Path], cache: Path, version: int, run_id: str, key: bytes | None
) -> Change | None:
    """Make `version` the champion of the cache folder of one model; None when it already is.

    `fetch(run_id, target)` downloads a bundle below `target` and says where it is.
    """
    wanted, before = str(version), read_text(cache / "champion")
    if before == wanted and (cache / wanted).is_dir():
        return None
    cache.mkdir(parents=True, exist_ok=True)
    staging = cache / f".pulling-{os.getpid()}"
    try:
        staging.mkdir(exist_ok=True)
        bundle = fetch(run_id, staging)
        checked_bundle(bundle, cache.name, key)
        _place(bundle, cache / wanted)
    except BundleError as error:
        return Change(cache.name, before, wanted, refused=str(error))
    finally:
        rmtree(staging, ignore_errors=True)
    replace_text(cache / "champion", f"{wanted}\n")
    return Change(cache.name, before, wanted)


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
