"""Worker processes: everything opened and warmed once, then forked, so that they share its memory."""

import os
import signal
import sys
import time
from collections.abc import Callable

import structlog

LOG = structlog.get_logger("barista.workers")

GRACE = 9.0
"""How long workers may finish requests in flight after SIGTERM [s]; with what ends after them it takes less than 10."""

ENDING = (signal.SIGTERM, signal.SIGINT)


def run_workers(count: int, work: Callable[[], None]) -> None:
    """Fork `count` processes that run `work`, replace those that die, end when told by SIGTERM or SIGINT."""
    group = _Group(work)
    for each in ENDING:
        signal.signal(each, group.stop)
    for _ in range(count):
        group.start()
    group.watch()


class _Group:
    """The running workers of one parent."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._pids: set[int] = set()
        self._stopping = False

    def start(self) -> None:
        """Fork one worker."""
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # a signal between fork and reset would end the siblings
        parent, pid = os.getpid(), os.fork()
        if pid:
            self._pids.add(pid)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            return
        status = 1
        try:
            for each in ENDING:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            _end_with(parent)
            self._work()
            status = 0
        except SystemExit:
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)

    def stop(self, *_signal: object) -> None:
        """Ask every worker to finish what it is doing and end."""
        self._stopping = True
        for pid in self._pids:
            os.kill(pid, signal.SIGTERM)

    def watch(self) -> None:
        """Wait for workers; one that dies unasked is replaced, not faster than one a second."""
        while self._pids:
            try:
                pid, status = os.wait()
            except InterruptedError:
                continue
            if pid not in self._pids:  # not a worker: the puller, or a child of it
                continue
            self._pids.discard(pid)
            if not self._stopping:
                LOG.error("worker died", worker=pid, status=os.waitstatus_to_exitcode(status))
                time.sleep(1)
                if not self._stopping:
                    self.start()


def _end_with(parent: int) -> None:
    """End this worker when its parent ends without a word (Linux only; elsewhere it goes on until told)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
