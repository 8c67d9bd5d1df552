"""One request → offers, best first."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys.data.ids import ABSENT
from recsys.data.looks import Look
from recsys.data.tail import CustomerRows, OrderEvent, rows_at
from recsys.decisioning.answers import Offer, OfferRequest, OffersAnswer, Reason
from recsys.decisioning.candidates import SOURCES
from recsys.decisioning.counterfactual import Ranked
from recsys.decisioning.gather import LIMIT, gather_at
from recsys.decisioning.novelty import MODES, NEVER_BOUGHT, bought_lately, check_novelty, kernel_mode, on_the_side
from recsys.decisioning.offer_reasons import offer_reasons
from recsys.decisioning.pointing import Pointed, lifts, pointed_at, raised_share, speaks_log_odds
from recsys.decisioning.serving import Desk, Label, Serving
from recsys.decisioning.sorting import best_first
from recsys.decisioning.words import checked_language
from recsys.errors import RequestRefused
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.offers import OffersModel

DISTINCT_ITEMS = PAIR_FEATURES.index("distinct_items")

Stage = Literal["state", "policy", "candidates", "ranking"]
Ended = Callable[[Stage], object]


class Ranking(NamedTuple):
    """An answer and everything that was ranked for it, best first: items int64 (n,), raw scores float64 (n,)."""

    answer: OffersAnswer
    items: npt.NDArray[np.int64]
    raw: npt.NDArray[np.float64]


def nobody_listens(_stage: Stage) -> None:
    """Nothing to be told when a stage ends."""


def recommend(
    serving: Serving, request: OfferRequest, events: Sequence[OrderEvent], as_of: int, looks: Sequence[Look] = ()
) -> OffersAnswer:
    """Offers for one customer: the answer of `rank`."""
    return rank(serving, request, events, as_of, looks=looks).answer


def rank(
    serving: Serving,
    request: OfferRequest,
    events: Sequence[OrderEvent],
    as_of: int,
    ended: Ended = nobody_listens,
    looks: Sequence[Look] = (),
) -> Ranking:
    """Offers for one customer at `as_of` [s], with the tail `events` and the basket folded in.

    `looks` point to items and are no purchases. `ended` hears when the customer's rows are there, when it is settled
    what may be offered, when candidates with their features are there, and when they are ranked.

    Pure: the same serving, request, events, looks and `as_of` give the same bits, alone or in a batch.

    Raises:
        RequestRefused: no offers model, an unknown mode, language, novelty or attribute, or `n` outside 1 … 200.
    """
    customer = serving.snapshot.customers.index(request.customer_id)
    rows = rows_at(serving.snapshot, customer, as_of, events, request.basket)
    ended("state")
    return rank_rows(serving, request, rows, ended, looks)


def rank_rows(
    serving: Serving,
    request: OfferRequest,
    rows: CustomerRows,
    ended: Ended = nobody_listens,
    looks: Sequence[Look] = (),
) -> Ranking:
    """Offers for a customer with these visible rows, the basket among them; see `rank`."""
    model, desk = _checked(serving, request), serving.desk()
    lately = None if request.novelty == NEVER_BOUGHT else bought_lately(serving.cat, rows, request.novelty)
    allowed = on_the_side(request.mode, allowed_items(serving, request), lately)
    ended("policy")
    pointed = pointed_at(serving, request, rows, allowed, looks)
    n = _gather(rows, request, desk, allowed, pointed)
    ended("candidates")
    blank = n > 0 and desk.X[0, DISTINCT_ITEMS] == 0
    raw = _popularity(serving, desk, n, pointed) if blank else model.raw(desk.X[:n])
    lift = None
    if pointed.looked and (blank or speaks_log_odds(model)):
        lift = lifts(pointed.looked, desk.chosen[:n], rows.as_of)
        raw = raised_share(raw, lift) if blank else raw + lift
    ranked = best_first(raw, desk.chosen[:n])
    best = ranked[: request.n]
    probability = raw[best] if blank else model.probability(raw[best], desk.known[:n][best] == 0)
    reasons: list[tuple[Reason, ...]] = [()] * len(best)
    if request.reasons:
        language = checked_language(request.language)
        reasons = offer_reasons(serving, rows, desk, Ranked(ranked, raw, blank, lift, pointed), len(best), language)
    repeated = desk.known[:n] if lately is None else lately[desk.chosen[:n]]
    columns = (desk.chosen[best], desk.marks[best], raw[best], probability, repeated[best])
    offers = tuple(
        _offer(serving.label(item), marks, score, p, "repeat" if old else "new", why)
        for item, marks, score, p, old, why in zip(*(each.tolist() for each in columns), reasons, strict=True)
    )
    ended("ranking")
    answer = OffersAnswer(
        customer_id=request.customer_id,
        as_of=rows.as_of,
        snapshot_id=serving.snapshot.snapshot_id,
        model_version=model.version,
        horizon_days=model.horizon_days,
        evidence="low" if blank or rows.high == rows.low else "history",
        candidates=n,
        offers=offers,
    )
    return Ranking(answer, desk.chosen[ranked], raw[ranked])


def _popularity(serving: Serving, desk: Desk, n: int, pointed: Pointed) -> npt.NDArray[np.float64]:
    """What stands for the ranker's score, and for the probability, of a customer who bought nothing yet.

    The share of active customers that bought the item in the last 28 days, of those alike where attributes are known.
    The ranker learned from customers with a history only; asked about one without, it would guess.
    """
    share = serving.population.arrays.items.rate_28 if pointed.likely is None else pointed.likely
    return share[desk.chosen[:n]].astype(np.float64)


def _checked(serving: Serving, request: OfferRequest) -> OffersModel:
    if serving.offers is None:
        raise RequestRefused(
            "There is no offers model in this workspace",
            expected="products in the imported data and a trained model",
            cure="Import transactions with products, then run `barista train`",
        )
    if request.mode not in MODES:
        raise RequestRefused("Unknown mode", found=request.mode, expected="new, repeat or mixed")
    if not 1 <= request.n <= LIMIT:
        raise RequestRefused("Wrong number of offers", found=request.n, expected=f"1 … {LIMIT}")
    check_novelty(serving.snapshot.catalogue, request.novelty)
    return serving.offers


def _gather(
    rows: CustomerRows,
    request: OfferRequest,
    desk: Desk,
    allowed: npt.NDArray[np.uint8],
    pointed: Pointed,
) -> int:
    """Candidates of the request among the `allowed` into the desk; returns how many."""
    return int(
        gather_at(
            desk.bench,
            rows.arrays,
            rows.low,
            rows.high,
            rows.as_of,
            allowed,
            pointed.named,
            kernel_mode(request.mode, request.novelty),
            desk.chosen,
            desk.marks,
            desk.known,
            desk.X,
        )
    )


def allowed_items(serving: Serving, request: OfferRequest) -> npt.NDArray[np.uint8]:
    """What may be offered, uint8 (n_items,): offerable, not excluded, not in the basket, in the context."""
    context, catalogue = request.context, serving.snapshot.catalogue
    if not (request.exclude or request.basket or context.store_id or context.groups):
        return serving.allowed
    allowed = serving.allowed.copy()
    basket = (catalogue.item_of_product(line.product_id) for line in request.basket if line.quantity > 0)
    for item in (*(catalogue.items.index(each) for each in request.exclude), *basket):
        if item != ABSENT:
            allowed[item] = 0
    if context.groups:
        wanted = [index for index, name in enumerate(catalogue.groups) if name in context.groups]
        allowed &= np.isin(catalogue.item_group, wanted).astype(np.uint8)
    store = serving.snapshot.stores.index(context.store_id) if context.store_id else ABSENT
    if store != ABSENT:
        stock = serving.population.assortment
        sold = np.zeros_like(allowed)
        sold[stock.item[stock.start[store] : stock.start[store + 1]]] = 1
        allowed &= sold
    return allowed


def _offer(
    label: Label,
    marks: int,
    raw: float,
    probability: float,
    novelty: Literal["new", "repeat"],
    reasons: tuple[Reason, ...],
) -> Offer:
    item_id, name, group, spend = label
    return Offer(item_id, name, group, raw, probability, probability * spend, novelty, _SOURCES_OF[marks], reasons)


_SOURCES_OF = tuple(
    tuple(name for bit, name in enumerate(SOURCES) if marks >> bit & 1) for marks in range(1 << len(SOURCES))
)
"""Names of the candidate sources by the bits that mark them."""
