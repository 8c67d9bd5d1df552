"""What scores rows: a forest or a linear baseline, behind one protocol."""

from typing import Protocol

from recsys.models.forest import Forest
from recsys.models.linear import Linear
from recsys.models.rows import Floats, Rows


class Scorer(Protocol):
    """A fitted model that turns feature rows into raw scores; the score of a row does not depend on the other rows."""

    @property
    def kind(self) -> str:
        """`lightgbm` or `linear`."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Columns of X, in order."""

    def raw(self, X: Rows) -> Floats:
        """Raw scores (n,) of rows (n, f), before any link or calibration."""

    def contributions(self, X: Rows) -> Floats:
        """What each feature added to the raw score, (n, f + 1); the last column is the bias; rows sum to `raw`."""

    def to_text(self) -> str:
        """The scorer as text; `load_scorer` reads it back."""


def load_scorer(text: str) -> Scorer:
    """Read a scorer of either kind from its text.

    Raises:
        BundleError: the text is damaged.
        UnsupportedModel: a LightGBM model the kernel does not evaluate.
    """
    return Linear.from_text(text) if text.startswith("{") else Forest.from_text(text)
