"""Bodies of an erasure: the receipt, and what files still hold."""

from typing import Literal

from msgspec import Struct


class RemainsBody(Struct, frozen=True):
    """Files that may still name the customer, hidden from every answer: where, how many, and until when."""

    where: Literal["current snapshot", "snapshots kept for replay", "published scores", "journals"]
    count: int
    until: str


class ErasureBody(Struct, frozen=True):
    """Receipt of an erasure; it names nobody.

    Everything up to `erased_at` is gone: so many events and kept answers are deleted, so many decisions name nobody
    any more. Imported purchases are not found any more, are left out of the next import and do not come back. `remains`
    says which files of the workspace still hold something of the customer, or may.
    """

    receipt_id: str
    erased_at: str
    requested_at: str
    events: int
    decisions: int
    answers: int
    remains: tuple[RemainsBody, ...] = ()
