"""Why a version that should serve was not taken over: noted beside the bundles by who pulls, told by who serves."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from recsys.data.files import read_text, replace_text
from recsys.errors import BundleError


class Refusal(msgspec.Struct, frozen=True):
    """A version that was refused: the kind of error and what it says."""

    version: str
    kind: str
    reason: str


def note_refusal(folder: Path, role: str, version: str, error: BundleError) -> None:
    """Note beside the bundles of a model that a version was refused as its `role`; where nothing can be written, not.

    role    `champion` or `challenger`
    """
    noted = msgspec.json.encode(Refusal(version, type(error).__name__, error.message())).decode()
    with suppress(OSError, ValueError):
        if read_text(_note(folder, role)) != noted:
            replace_text(_note(folder, role), noted)


def forget_refusal(folder: Path, role: str) -> None:
    """What was refused is wanted no more, or was taken over."""
    with suppress(OSError):
        _note(folder, role).unlink(missing_ok=True)


def refusal_of(folder: Path, role: str) -> Refusal | None:
    """The version that was refused as the `role` of a model and is still wanted; None for none."""
    try:
        return msgspec.json.decode(read_text(_note(folder, role)) or "", type=Refusal)
    except (OSError, ValueError):
        return None


def refusals_of(bundles: Path, names: Iterable[str], role: str) -> dict[str, Refusal]:
    """Of the models whose bundles lie below a folder, those of which a version was refused as the `role`."""
    found = ((name, refusal_of(bundles / name, role)) for name in names)
    return {name: refusal for name, refusal in found if refusal is not None}


def _note(folder: Path, role: str) -> Path:
    return folder / f"{role}.refused"
