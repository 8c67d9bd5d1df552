"""Kernels compiled or loaded from their cache before the first customer waits."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from numba import config

from recsys.data.tail import EventLine, OrderEvent
from recsys.decisioning.answers import OfferRequest
from serving.answers import MODELS, Answers

STRANGER = "\x00"
"""Id no customer can have: control characters are refused in requests."""


COMPILED = "serving-is-compiled"
"""File of the cache of kernels that says: all that answers need is in it."""


def compile_apart(open_answers: Callable[[], Answers]) -> None:
    """Fill the cache of kernels in a child process where it is not known to be full, once for each state of the code.

    What compiles keeps half a gigabyte for good; what loads from the cache does not. A process with threads can't be
    forked. There, and where nothing can be answered yet or nothing be kept, whoever answers compiles.
    """
    mark = Path(config.CACHE_DIR) / COMPILED
    if mark.exists() or threading.active_count() > 1:
        return
    with suppress(OSError):
        mark.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(mark.parent, os.W_OK):
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        compile_all(open_answers())
    finally:
        os._exit(0)


def compile_all(answers: Answers) -> None:
    """Compile what answers need into the cache; it is said to be full once every model was among them."""
    warm(answers)
    if {facts.name for facts in answers.models()} >= set(MODELS):
        (Path(config.CACHE_DIR) / COMPILED).touch()


def warm(answers: Answers) -> None:
    """Run every kind of answer once: with history, with a newer event, for a stranger, with reasons and without."""
    snapshot = answers.snapshot
    published = {facts.name for facts in answers.models()}
    product = next(iter(snapshot.catalogue.products))
    for customer in (*islice(snapshot.customers, 1), STRANGER):
        event = OrderEvent("warm", customer, snapshot.as_of, (EventLine(product),))
        for events in ((), (event,)):
            for reasons in (False, True):
                answers.score(customer, events, snapshot.as_of, reasons=reasons)
                if "offers" in published:
                    answers.recommend(OfferRequest(customer, reasons=reasons), events, snapshot.as_of)
