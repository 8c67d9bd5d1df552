"""Entity tags of scores: what an answer is computed from, digested, so that one can be compared without scoring.

A tag is strong: equal tags stand for equal bytes. It covers the instant of the answer, so with the clock `now` a tag
holds for a second; with `snapshot` or an instant it holds until the customer, the models or the snapshot change.
Source: RFC 9110, sections 8.8.3 and 13.1.2.
"""

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

from recsys import __version__
from recsys.store import Tail

TERMS = ("discount_rate", "value_days", "margin", "contact_cost", "acquisition_cost", "saved_value", "save_rate")
"""Settings that the money in an answer depends on."""

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class Basis(NamedTuple):
    """All that decides about the bytes of a scores answer.

    customer   index in the snapshot, `ABSENT` for a stranger and for one erased
    told       language of the reasons, empty without them
    terms      values of TERMS
    """

    snapshot_id: str
    versions: tuple[tuple[str, str], ...]
    batch_run: str | None
    as_of: int
    customer_id: str
    customer: int
    tail: Tail
    told: str
    terms: tuple[float | None, ...]
    stale: bool


def tag_of(basis: Basis) -> str:
    """The strong entity tag of the answer."""
    tail = basis.tail
    asked = (basis.batch_run, basis.as_of, basis.customer_id, basis.customer, basis.told, basis.stale)
    digest = _digest_of(basis.snapshot_id, basis.versions, basis.terms).copy()
    digest.update(repr((*asked, tail.last_sequence, len(tail.orders))).encode())
    if tail.orders:
        digest.update(tail.orders.content)
    return f'"{digest.hexdigest()}"'


@lru_cache(16)
def _digest_of(*common: object) -> "hashlib.blake2b":
    """The digest so far of what many answers have in common; to be copied."""
    return hashlib.blake2b(repr((__version__, common)).encode(), digest_size=16)


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether the caller already has the answer: `If-None-Match` names its tag, or is `*`."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match)
