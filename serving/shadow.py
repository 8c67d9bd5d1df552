"""Live requests scored again by challengers, unseen: how far their answers would differ from those that were given.

One thread of the worker does it after the answer has been computed, from a short queue: when it does not keep up,
requests are left out and counted. Which customers are looked at derives from the seed and their id.
"""

import hashlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import structlog

from recsys.data.looks import Look
from recsys.data.tail import OrderEvent
from recsys.decisioning import OfferRequest, Ranking, ScoresAnswer
from recsys.logs import REQUEST_ID
from serving.answers import Answers
from serving.challengers import Challengers, Challenging

LOG = structlog.get_logger("barista.shadow")

WAITING = 64
"""Requests that may wait to be scored again."""

NICENESS = 10
"""How far the thread stands back behind those that answer."""

Items = npt.NDArray[np.int64]
Fate = Literal["scored", "dropped", "failed"]


class Ranked(NamedTuple):
    """An answer to a request for offers."""

    answers: Answers
    request: OfferRequest
    events: Sequence[OrderEvent]
    as_of: int
    ranking: Ranking
    looks: Sequence[Look] = ()


class Rated(NamedTuple):
    """An answer to a request for scores."""

    answers: Answers
    customer_id: str
    events: Sequence[OrderEvent]
    as_of: int
    scores: ScoresAnswer


class Seen(NamedTuple):
    """One request by champion and challenger of `model`.

    overlap    share of the champion's best n among the challenger's best n; offers only
    distance   1 - Spearman's correlation of the two orders of all candidates; offers only
    champion, challenger   the score told: mean probability of the best n, churn probability, expected spend [currency]
    """

    model: str
    version: str
    champion: float
    challenger: float
    overlap: float | None = None
    distance: float | None = None


class Shadow:
    """Scores a share of the live requests by the challengers; `told` hears what was seen, `counted` each one's fate."""

    def __init__(
        self,
        challengers: Challengers,
        share: float,
        seed: int,
        told: Callable[[Seen], object],
        counted: Callable[[Fate], object],
    ) -> None:
        self.challengers, self.share = challengers, share
        self._seed, self._told, self._counted = seed, told, counted
        self._queue: queue.Queue[tuple[Ranked | Rated, str] | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def look(self, answered: Ranked | Rated) -> None:
        """Take an answer up, if there is a challenger and the customer is of those looked at; never waits."""
        if self.challengers.current is None or not self._chosen(_customer(answered)):
            return
        try:
            self._queue.put_nowait((answered, REQUEST_ID.get()))
        except queue.Full:
            self._counted("dropped")
            return
        if self._thread is None:
            self._start()

    def stop(self) -> None:
        """End the thread; what waits is forgotten."""
        if self._thread is None:
            return
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._queue.put(None)
        self._thread.join()
        self._thread = None

    def _chosen(self, customer_id: str) -> bool:
        digest = hashlib.blake2b(f"{self._seed}:{customer_id}".encode(), digest_size=4).digest()
        return int.from_bytes(digest) < self.share * 2**32

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        if sys.platform == "linux":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while (waiting := self._queue.get()) is not None:
            answered, request_id = waiting
            REQUEST_ID.set(request_id)
            challenging = self.challengers.current
            if challenging is None or challenging.champions is not answered.answers:
                continue
            try:
                for seen in compare(challenging, answered):
                    self._told(seen)
                self._counted("scored")
            except Exception as error:  # whatever a challenger does, it is not in the way of an answer
                self._counted("failed")
                LOG.warning("challenger failed", error=type(error).__name__)


def _customer(answered: Ranked | Rated) -> str:
    return answered.request.customer_id if isinstance(answered, Ranked) else answered.customer_id


def compare(challenging: Challenging, answered: Ranked | Rated) -> list[Seen]:
    """What the challengers would have answered beside what was answered."""
    if isinstance(answered, Rated):
        return _compare_scores(challenging, answered)
    version = challenging.versions.get("offers")
    if version is None:
        return []
    other = challenging.answers.rank(answered.request, answered.events, answered.as_of, looks=answered.looks)
    own, theirs = answered.ranking, other
    best = answered.request.n
    seen = Seen(
        "offers",
        version,
        _mean_probability(own),
        _mean_probability(theirs),
        overlap(own.items[:best], theirs.items[:best]),
        1.0 - rank_correlation(own.items, theirs.items),
    )
    return [seen]


def _compare_scores(challenging: Challenging, answered: Rated) -> list[Seen]:
    versions = challenging.versions
    if not {"churn", "value"} & set(versions):
        return []
    asked = answered.customer_id, answered.events, answered.as_of
    own, theirs = answered.scores, challenging.answers.score(*asked, reasons=False)
    found = []
    if "churn" in versions and own.churn and theirs.churn:
        found.append(Seen("churn", versions["churn"], own.churn.probability, theirs.churn.probability))
    if "value" in versions and own.value and theirs.value:
        found.append(Seen("value", versions["value"], own.value.expected_spend, theirs.value.expected_spend))
    return found


def _mean_probability(ranking: Ranking) -> float:
    offers = ranking.answer.offers
    return sum(offer.probability for offer in offers) / len(offers) if offers else 0.0


def overlap(one: Items, other: Items) -> float:
    """Share of the items of `one` that are in `other`; 1 when there is none."""
    return len(set(one.tolist()) & set(other.tolist())) / len(one) if len(one) else 1.0


def rank_correlation(one: Items, other: Items) -> float:
    """Spearman's correlation of two orders of the same items, best first; 1 for fewer than two.

    Spearman, "The proof and measurement of association between two things", American Journal of Psychology 15 (1904).
    """
    n = len(one)
    if n < 2:
        return 1.0
    place = {item: at for at, item in enumerate(other.tolist())}
    squares = sum((at - place[item]) ** 2 for at, item in enumerate(one.tolist()))
    return 1.0 - 6.0 * squares / (n * (n * n - 1))
