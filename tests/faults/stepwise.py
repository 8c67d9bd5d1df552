"""A process that dies at one step of what it does to a database.

Steps are the moments before and after each statement, before the commit, and after all is done.
"""

import multiprocessing
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
    status = _child(act, address, 0)
    if status <= 0:
        raise RuntimeError(f"the child ended with {status}")
    return status


def die_at(act: Act, address: str, step: int) -> bool:
    """Do it in a process that is killed at `step` (from 1); whether it was."""
    return _child(act, address, step) == -signal.SIGKILL


def _child(act: Act, address: str, step: int) -> int:
    """Exit code of a process that does it: the number of steps, unless it was killed.

    It is forked from a server without threads: a child of this process might wait for a lock that a thread held.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    child = context.Process(target=_end, args=(act, address, step))
    child.start()
    child.join()
    assert child.exitcode is not None
    return child.exitcode


def _end(act: Act, address: str, step: int) -> None:
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
