"""How long a program waits for its database."""

from dataclasses import dataclass


@dataclass
class Patience:
    """How long one answer of the server may take [s]; None: for ever."""

    seconds: float | None = None
