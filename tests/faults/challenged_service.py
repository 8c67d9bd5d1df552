"""A service whose challengers fail or wait whenever they are asked: `python -m tests.faults.challenged_service KIND …`.

KIND is `fails` or `waits`; what follows are the arguments of `python -m serving`.
"""

import sys
import time
from typing import NoReturn

WAIT = 0.2
"""How long a challenger that waits takes for an answer [s]."""


def fails(*_given: object) -> NoReturn:
    """No challenger's answer."""
    raise ZeroDivisionError


def waits(*_given: object) -> tuple[()]:
    """Nothing seen, late."""
    time.sleep(WAIT)
    return ()


if __name__ == "__main__":
    from serving import shadow
    from serving.__main__ import main

    shadow.compare = {"fails": fails, "waits": waits}[sys.argv[1]]  # type: ignore[assignment]
    raise SystemExit(main(sys.argv[2:]))
