"""Kernels compiled or loaded from their cache before the first customer waits."""

from itertools import islice

from recsys.data.tail import EventLine, OrderEvent
from recsys.decisioning.answers import OfferRequest
from serving.answers import Answers

STRANGER = "\x00"
"""Id no customer can have: control characters are refused in requests."""


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
