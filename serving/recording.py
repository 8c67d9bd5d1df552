"""Decisions kept before their answers leave: group commits by one thread, the worker's journal when the store fails."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Literal, NamedTuple

import structlog
from structlog.contextvars import bound_contextvars

from recsys.decisioning.record import DecisionRecord
from recsys.errors import StoreError, StoreFull, StoreUnavailable
from recsys.logs import REQUEST_ID
from recsys.store import DecisionStore, Journal
from recsys.store.journal import Left
from recsys.store.patience import begin_by, within
from serving.outage import Outage

Kept = Literal["store", "journal", "lost"]
LOG = structlog.get_logger("barista.recording")

IDLE = 2.0
"""How often the thread looks for journals to upload while nothing is asked [s]."""

GAP = 0.005
"""From the beginning of a commit to that of the next while waiting so long lets decisions gather [s]."""

TRY = 32
"""Commits of single decisions before waiting is tried again."""

BUSY = 0.2
"""The same while some are known to wait [s]."""

REFUSED = 5.0
"""How long a database that answers, but refused decisions, is not asked to keep any [s]: they go to the journal. A file
of the journal that could not be uploaded is left alone for as long."""

UPLOADED = 100
"""Decisions of a journal that are brought into the store at once; then those that wait have their turn."""


class _Waiting(NamedTuple):
    record: DecisionRecord
    future: "asyncio.Future[Kept]"
    request_id: str
    by: float


class Recorder:
    """Keeps the decisions of one worker.

    While a commit waits for the disk the next decisions gather, so its cost is shared under load. `counted` is told
    where each decision was kept.
    """

    def __init__(
        self,
        store: Callable[[], DecisionStore],
        journal: Journal,
        outage: Outage,
        counted: Callable[[Kept, int], object],
        *,
        patience: float = math.inf,
    ) -> None:
        self._store, self._journal, self._outage, self._counted = store, journal, outage, counted
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None
        self._patience = patience
        self._looks = True
        self._full = False
        self._refused_until = -math.inf
        self._passed_over: dict[Path, float] = {}
        self._alone = TRY - 1
        self._brought: dict[Path, int] = {}

    async def keep(self, record: DecisionRecord, by: float = math.inf) -> bool:
        """True as soon as the decision is on a disk, of the database or of this machine; False if it is on none.

        The database is waited for no longer than `by` [s of `time.monotonic`]; a commit under way counts.
        """
        future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(record, future, REQUEST_ID.get(), min(by, monotonic() + self._patience))
        self._queue.append(waiting)  # one queue for good: the thread may take what waits at any moment
        if self._thread is None or not self._thread.is_alive():
            self.start()
        if not self._wake.is_set():  # who clears it takes what waits afterwards, this too
            self._wake.set()
        return await future != "lost"

    def start(self) -> None:
        """Start the thread; in the process that answers, never before a fork."""
        self._thread = threading.Thread(target=self._work, name="decisions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Keep what waits, then end the thread."""
        self._ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._journal.release()

    def _work(self) -> None:
        while True:
            asked = self._wake.wait(BUSY if self._looks else IDLE)
            self._wake.clear()
            batch = self._waiting()
            if batch:
                began = time.perf_counter()
                self._tell(batch, self._keep(batch))
                self._gather(len(batch), GAP - (time.perf_counter() - began))
            elif self._ending:
                return
            if self._asks() and not (self._full and asked) and (self._looks or not asked):
                self._upload()

    def _asks(self) -> bool:
        """Whether the database is asked to keep anything now."""
        return not self._outage.now and monotonic() >= self._refused_until

    def _waiting(self) -> list[_Waiting]:
        """All that wait now."""
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def _gather(self, kept: int, seconds: float) -> None:
        """Let decisions gather before the next commit, if that was of use: one client alone would only be held up.

        A commit that took long has let them gather itself: who waited for it does not wait for all of `GAP` too.
        """
        self._alone = 0 if kept > 1 else self._alone + 1
        if not self._ending and seconds > 0.0 and (self._alone == 0 or self._alone % TRY == 0):
            time.sleep(seconds)

    def _keep(self, batch: list[_Waiting]) -> Kept:
        """Where the decisions are kept now. Raises nothing, whatever goes wrong: they are waited for."""
        records = [each.record for each in batch]
        if self._asks():
            try:
                with begin_by(min(each.by for each in batch)):
                    self._store().append(records)
            except Exception as error:
                with bound_contextvars(request_ids=_asked(batch)):
                    self._failed(error)
            else:
                self._full = False
                return "store"
        self._looks = True
        try:
            self._journal.append(records)
        except Exception as error:
            LOG.error("decisions lost", count=len(records), error=type(error).__name__, request_ids=_asked(batch))
            return "lost"
        return "journal"

    def _failed(self, error: Exception) -> None:
        """The database did not keep decisions.

        One that refuses them may do all else: that is no outage, and nothing is gained by asking it at once again.
        """
        self._full = isinstance(error, StoreFull)
        if isinstance(error, StoreUnavailable):
            self._outage.begin(error)
            return
        self._refused_until = monotonic() + REFUSED
        LOG.error("decisions refused", **_said(error))

    def _tell(self, batch: list[_Waiting], kept: Kept) -> None:
        try:
            self._counted(kept, len(batch))
        except Exception as error:  # who waits is answered all the same
            LOG.error("decisions not counted", **_said(error))
        loops = {each.future.get_loop() for each in batch}
        for loop in loops:
            futures = [each.future for each in batch if each.future.get_loop() is loop]
            try:
                loop.call_soon_threadsafe(_resolve, futures, kept)
            except RuntimeError:  # the loop ended before its answers could leave
                continue

    def _upload(self) -> None:
        """Bring decisions of journals, own or left by workers that died, into the store."""
        self._looks = False
        self._journal.release()
        for path in self._journal.waiting():
            if monotonic() < self._passed_over.get(path, -math.inf):
                self._looks = True
                continue
            try:
                with self._journal.claimed(path) as left:
                    count = 0 if left is None else self._bring(path, left)
            except StoreUnavailable as error:
                self._looks = True
                if isinstance(error, StoreFull):
                    self._outage.begin(error)
                return  # nobody waits: whether the database is lost is found out by who does
            except Exception as error:
                self._pass_over(path, error)
                continue
            self._brought.pop(path, None)
            self._passed_over.pop(path, None)
            if count:
                LOG.info("decisions uploaded", count=count)

    def _pass_over(self, path: Path, error: Exception) -> None:
        """A file that can't be read, or whose decisions are refused, is tried again later; others go first."""
        self._looks = True
        if path not in self._passed_over:
            LOG.error("journal not uploaded", file=path.name, **_said(error))
        self._passed_over[path] = monotonic() + REFUSED

    def _bring(self, path: Path, left: Left) -> int:
        """Bring decisions into the store, some at a time: nobody waits for all that an outage left behind.

        What was brought of a file is not brought again when the rest has to wait. How many it were now.
        """
        count = 0
        for part in left.parts(UPLOADED, self._brought.get(path, 0)):
            with within(self._patience / 2):
                self._store().upload(part.records)
            self._brought[path] = part.end
            count += len(part.records)
            batch = self._waiting()
            if batch:
                self._tell(batch, self._keep(batch))
        return count


def _asked(batch: list[_Waiting]) -> list[str]:
    """Ids of the requests that wait, for lines that are about all of them."""
    return [each.request_id for each in batch]


def _said(error: Exception) -> dict[str, str]:
    """What a line of the log says of an error: the words of ours and of the system; of others the kind alone."""
    said = error.message() if isinstance(error, StoreError) else getattr(error, "strerror", None)
    return {"error": type(error).__name__} | ({"said": said} if said else {})


def _resolve(futures: "list[asyncio.Future[Kept]]", kept: Kept) -> None:
    for future in futures:
        if not future.done():
            future.set_result(kept)
