"""Entity tags of scores: what an answer is computed from, digested, so that one can be compared without scoring.

A tag is strong: equal tags stand for equal bytes. It covers the instant of the answer, so with the clock `now` a tag
holds for a second; with `snapshot` or an instant it holds until the customer, the models or the snapshot change.
Source: RFC 9110, sections 8.8.3 and 13.1.2.
"""

import hashlib
import re
from typing import NamedTuple

from recsys import __version__
from recsys.store import Tail

TERMS = ("discount_rate", "value_days", "margin", "contact_cost", "acquisition_cost", "saved_value", "save_rate")
"""Settings that the money in an answer depends on."""

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


Digest = hashlib.blake2b
"""A digest under way."""


class Basis(NamedTuple):
    """All that decides about the bytes of a scores answer beside the state and the settings.

    customer   index in the snapshot, `ABSENT` for a stranger and for one erased
    told       language of the reasons, empty without them
    """

    batch_run: str | None
    as_of: int
    customer_id: str
    customer: int
    tail: Tail
    told: str
    stale: bool


def begun(snapshot_id: str, versions: tuple[tuple[str, str], ...], terms: tuple[float | None, ...]) -> Digest:
    """The digest so far of what many answers have in common; `terms` are the values of TERMS."""
    common = snapshot_id, versions, terms
    return hashlib.blake2b(repr((__version__, common)).encode(), digest_size=16)


def tag_of(common: Digest, basis: Basis) -> str:
    """The strong entity tag of an answer; `common` from `begun` stays as it is."""
    tail = basis.tail
    asked = (basis.batch_run, basis.as_of, basis.customer_id, basis.customer, basis.told, basis.stale)
    digest = common.copy()
    digest.update(repr((*asked, tail.last_sequence, len(tail.orders))).encode())
    if tail.orders:
        digest.update(tail.orders.content)
    return f'"{digest.hexdigest()}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether the caller already has the answer: `If-None-Match` names its tag, or is `*`."""
    if not if_none_match:
        return False
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match)
