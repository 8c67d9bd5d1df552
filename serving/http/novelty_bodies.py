"""What new means, as a request says it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Level = Literal["item", "family", "group"]


class NoveltyWish(Struct, forbid_unknown_fields=True, frozen=True):
    """What new means: nothing of the item's category was bought within the look-back.

    The category is the item itself, the level right above it (`family`) or the broadest (`group`); without a look-back
    every purchase counts, however long ago.
    """

    level: Level = "item"
    look_back_days: Annotated[int, Meta(ge=1, le=3650)] | None = None
