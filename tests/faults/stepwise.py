"""A process that dies at one step of what it does to a database.

Steps are the moments before and after each statement, before the commit, and after all is done.
"""

import os
import signal
from collections.abc import Callable

from sqlalchemy import event

from recsys.store import Database

Act = Callable[[Database], object]


def steps_of(act: Act, address: str) -> int:
    """How many steps it takes; it is done afterwards.

    Raises:
        RuntimeError: it failed.
    """
    status = os.waitstatus_to_exitcode(_child(act, address, 0))
    if status <= 0:
        raise RuntimeError(f"the child ended with {status}")
    return status


def die_at(act: Act, address: str, step: int) -> bool:
    """Do it in a process that is killed at `step` (from 1); whether it was."""
    return os.waitstatus_to_exitcode(_child(act, address, step)) == -signal.SIGKILL


def _child(act: Act, address: str, step: int) -> int:
    """Wait status of a forked process; it ends with the number of steps. No connection may be open before."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    try:
        os._exit(_walk(act, address, step))
    finally:
        os._exit(0)


def _walk(act: Act, address: str, step: int) -> int:
    database, passed = Database.unprepared(address), [0]

    def at_step(*_arguments: object, **_named: object) -> None:
        passed[0] += 1
        if passed[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(database._engine, moment, at_step)
    act(database)
    at_step()
    return passed[0]
