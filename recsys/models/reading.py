"""What the applied models ask of a bundle, with errors that say what is missing."""

from collections.abc import Mapping
from typing import Any, TypeVar

from recsys.errors import BundleError, WrongModel
from recsys.models.bundle import Bundle, Part

T = TypeVar("T")


def expect_name(bundle: Bundle, name: str) -> None:
    """Raises: BundleError if the bundle is another model."""
    if bundle.content.name != name:
        raise WrongModel("The bundle is another model", found=bundle.content.name, expected=name)


def part_of(bundle: Bundle, name: str) -> Part:
    """A part of the bundle. Raises: BundleError if it has none of this name."""
    return named(bundle.content.parts, name, "part")


def named(found: Mapping[str, T], name: str, what: str) -> T:
    """One entry by name. Raises: BundleError if there is none."""
    if name not in found:
        raise BundleError(f"The bundle lacks the {what} {name!r}", found=sorted(found), expected=name)
    return found[name]


def text_fact(facts: Mapping[str, Any], name: str) -> str:
    """A fact that is a text. Raises: BundleError if it is missing or something else."""
    value = named(facts, name, "fact")
    if not isinstance(value, str):
        raise BundleError(f"Fact {name!r} of the bundle", found=value, expected="a text")
    return value
