"""Which bundle of each model was opened last: what serves in the place of a bad champion, after a restart too."""

from contextlib import suppress
from pathlib import Path

from recsys.data.files import read_text, replace_text
from recsys.errors import BundleError
from recsys.models.bundle import verify_bundle

GOOD = "good"
"""File in the folder of a model: version and digest of the bundle that a service opened last."""


def good_bundle(folder: Path, key: bytes | None) -> Path | None:
    """The bundle that was opened last; None where none is known, or where it is not what it was."""
    try:
        version, digest = (read_text(folder / GOOD) or "").split()
        return folder / version if verify_bundle(folder / version, key) == digest else None
    except (BundleError, OSError, ValueError):
        return None


def note_good(folder: Path, version: str, digest: str) -> None:
    """Remember a bundle that was opened; where nothing can be written nothing is."""
    noted = f"{version} {digest}"
    with suppress(OSError, ValueError):
        if read_text(folder / GOOD) != noted:
            replace_text(folder / GOOD, f"{noted}\n")
