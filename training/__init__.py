"""Import, training tables, fit, back-test, publish.

`training.train(settings)` and `training.backtest(snapshot, cut, horizon)` are the two functions a data scientist needs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.backtesting import backtest
    from training.publishing import train

__all__ = ["backtest", "train"]

_HOMES = {"backtest": "training.backtesting", "train": "training.publishing"}


def __getattr__(name: str) -> Any:
    """Load the module of a public function when it is first asked for, so that importing `training` costs nothing."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'training' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
