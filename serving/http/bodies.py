"""Bodies of the HTTP interface: the one description that decodes requests, encodes answers and documents both.

Money at this edge is in the workspace's currency (4.50), instants are ISO 8601 with a zone.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from serving.http.novelty_bodies import NoveltyWish
from serving.http.timing_bodies import TimingBody
from serving.http.value_bodies import ValueBody

TEXT = r"^[^\x00-\x1f\x7f]+$(?!\n)"
"""No control characters: they are never part of an id and databases refuse some."""

Identifier = Annotated[str, Meta(min_length=1, max_length=200, pattern=TEXT)]
Quantity = Annotated[float, Meta(ge=-1e6, le=1e6)]
Amount = Annotated[float, Meta(ge=-1e9, le=1e9)]
Discount = Annotated[float, Meta(ge=0, le=1e6)]
Mode = Literal["new", "repeat", "mixed"]
Language = Literal["en", "ru", "uk"]
"""Languages of the reasons, those of recsys.decisioning.words."""
EventKind = Literal["purchase", "refund", "view", "cart", "shown", "clicked", "accepted", "declined"]
Wanted = Annotated[int, Meta(ge=1, le=100)]
AttributeValue = bool | float | Annotated[str, Meta(max_length=200)]
Attributes = Annotated[dict[Identifier, AttributeValue], Meta(max_length=16)]
"""What is known of a customer, by the columns of the imported customers table."""


class Line(Struct, forbid_unknown_fields=True, frozen=True):
    """One line of a basket, a purchase or a refund: product, how many, line total and discount [currency]."""

    product_id: Identifier
    quantity: Quantity = 1.0
    amount: Amount = 0.0
    discount: Discount = 0.0


class Context(Struct, forbid_unknown_fields=True, frozen=True):
    """Where the offer will be shown: only what this store sells, only these broadest catalogue groups."""

    store_id: Identifier | None = None
    groups: Annotated[tuple[Identifier, ...], Meta(max_length=100)] = ()


class RecommendationRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """What a channel asks for; each key changes the answer as `recsys.decisioning.answers.OfferRequest` says."""

    customer_id: Identifier
    n: Wanted = 10
    mode: Mode = "mixed"
    exclude: Annotated[tuple[Identifier, ...], Meta(max_length=1000)] = ()
    basket: Annotated[tuple[Line, ...], Meta(max_length=200)] = ()
    context: Context = Context()
    reasons: bool = False
    language: Language = "en"
    novelty: NoveltyWish = NoveltyWish()
    attributes: Attributes = {}  # msgspec makes a new one each time


class EventReport(Struct, forbid_unknown_fields=True, frozen=True):
    """Something a customer did or was shown; purchases and refunds (lines with what came back, above 0) need lines.

    `occurred_at` is an ISO 8601 instant with a zone; without it the event happened at the service's `as_of`.
    """

    event_id: Identifier
    type: EventKind
    customer_id: Identifier
    lines: Annotated[tuple[Line, ...], Meta(max_length=500)] = ()
    occurred_at: Annotated[str, Meta(max_length=40)] | None = None
    decision_id: Identifier | None = None
    order_id: Identifier | None = None
    store_id: Identifier | None = None
    channel: Identifier | None = None


class EventBatch(Struct, forbid_unknown_fields=True, frozen=True):
    """Events reported together; either all are read or none."""

    events: Annotated[tuple[EventReport, ...], Meta(min_length=1, max_length=1000)]


class ScoresQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """Query of the scores: with the strongest reasons or without, and in which language."""

    reasons: bool = False
    language: Language = "en"


class SearchQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """Query of the finders: what to look for, how many rows at most."""

    search: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class NoQuery(Struct, forbid_unknown_fields=True, frozen=True):
    """No query key is known here."""


class ReasonBody(Struct, frozen=True):
    """Why: a code for programs, a sentence for people, the figures in it."""

    code: str
    text: str
    evidence: dict[str, float | str]


class OfferBody(Struct, frozen=True):
    """One offer: P(bought within the horizon), expected value [currency], the raw score it is ranked by.

    `novelty` is told by what the request says new means.
    """

    rank: int
    item_id: str
    name: str
    group: str | None
    probability: Annotated[float, Meta(ge=0, le=1)]
    expected_value: float
    novelty: Literal["new", "repeat"]
    sources: tuple[str, ...]
    raw: float
    reasons: tuple[ReasonBody, ...]


class OffersBody(Struct, frozen=True):
    """Offers, best first, and what they were computed from.

    `evidence` is `low` for a customer without purchases; `batch_run` is the published whole-base run the answer
    agrees with. `recorded` is false when the decision could not be kept; `stale` is true when the database was out of
    reach, so that newer purchases did not count.
    """

    customer_id: str
    as_of: str
    decision_id: str
    recorded: bool
    snapshot_id: str
    model_version: str
    batch_run: str | None
    evidence: Literal["history", "low"]
    stale: bool
    horizon_days: int
    candidates: int
    currency: str
    offers: tuple[OfferBody, ...]


class AskedBody(Struct, frozen=True):
    """What was asked for."""

    n: int
    mode: Mode
    exclude: tuple[str, ...]
    basket: tuple[Line, ...]
    context: Context
    reasons: bool
    language: str
    novelty: NoveltyWish
    attributes: dict[str, str | float | bool]


class ModelMarkBody(Struct, frozen=True):
    """A model that could take part: version, digest of its bundle, fingerprint of its features."""

    version: str
    digest: str
    features: str


class CandidateBody(Struct, frozen=True):
    """A ranked item and the raw score it was ranked by."""

    item_id: str
    raw: float


class DecisionBody(Struct, frozen=True):
    """A recorded decision: what was asked, what it was computed from, everything that was ranked, what was returned.

    `events` newer orders and `looks` counted, the last of them with `last_sequence`; `seed` is that of every random
    choice; `made_with` names what may change the last bit of a score.
    """

    decision_id: str
    customer_id: str
    decided_at: str
    as_of: str
    snapshot_id: str
    events: int
    last_sequence: int
    stale: bool
    models: dict[str, ModelMarkBody]
    seed: int
    made_with: str
    asked: AskedBody
    evidence: Literal["history", "low"]
    horizon_days: int
    candidates: tuple[CandidateBody, ...]
    offers: tuple[OfferBody, ...]
    looks: int | None


class ChurnBody(Struct, frozen=True):
    """P(no purchase within the horizon), whether a contact pays (null without costs), and reasons when asked for."""

    probability: Annotated[float, Meta(ge=0, le=1)]
    at_risk: bool | None
    threshold: float | None
    horizon_days: int
    model_version: str
    reasons: tuple[ReasonBody, ...]


class ScoresBody(Struct, frozen=True):
    """Churn and value of one customer; null where no such model is published; `stale` as in offers."""

    customer_id: str
    as_of: str
    snapshot_id: str
    batch_run: str | None
    evidence: Literal["history", "low"]
    stale: bool
    currency: str
    churn: ChurnBody | None
    value: ValueBody | None


class WeekBody(Struct, frozen=True):
    """Purchases of one week; `week` is its Monday in the business time zone, `spend` in currency."""

    week: str
    orders: int
    spend: float


class OrderLineBody(Struct, frozen=True):
    """One line of a past order, by the item's name; nulls where the product is not in the catalogue."""

    product_id: str | None
    item_id: str | None
    name: str | None
    quantity: float
    amount: float


class OrderBody(Struct, frozen=True):
    """A past order."""

    occurred_at: str
    amount: float
    store_id: str | None
    channel: str | None
    lines: tuple[OrderLineBody, ...]


class CustomerBody(Struct, frozen=True):
    """What is known of a customer at `as_of`: imported history with the events reported since, unless `stale`."""

    customer_id: str
    as_of: str
    snapshot_id: str
    stale: bool
    currency: str
    orders: int
    spend: float
    events_since_snapshot: int
    first_purchase_at: str | None
    last_purchase_at: str | None
    weeks: tuple[WeekBody, ...]
    last_orders: tuple[OrderBody, ...]
    attributes: dict[str, str | float | bool | None]


class FoundCustomer(Struct, frozen=True):
    """A row of the customer finder, from the imported data alone."""

    customer_id: str
    orders: int
    last_purchase_at: str | None


class FoundCustomers(Struct, frozen=True):
    """Customers whose id begins with the search text, by id."""

    customers: tuple[FoundCustomer, ...]
    known: int


class FoundItem(Struct, frozen=True):
    """An item and its best-selling product, the one to report a purchase with."""

    item_id: str
    name: str
    group: str | None
    offerable: bool
    product_id: str


class FoundItems(Struct, frozen=True):
    """Items whose name or id contains the search text, best sellers first."""

    items: tuple[FoundItem, ...]
    known: int


class EventOutcome(Struct, frozen=True):
    """What became of one event: `conflict` means its event_id is taken by an event of other content.

    `erased` happened before its customer was erased and is not kept.
    """

    event_id: str
    outcome: Literal["accepted", "repeated", "conflict", "erased"]
    occurred_at: str


class EventsBody(Struct, frozen=True):
    """Outcomes in the sequence of the request; accepted purchases count in every next answer."""

    as_of: str
    accepted: int
    repeated: int
    conflict: int
    outcomes: tuple[EventOutcome, ...]


class ReportedBody(Struct, frozen=True):
    """An event as it is kept, amounts in currency."""

    event_id: str
    type: EventKind
    occurred_at: str
    received_at: str
    order_id: str | None
    store_id: str | None
    channel: str | None
    decision_id: str | None
    lines: tuple[dict[str, Any], ...]


class ExportBody(Struct, frozen=True):
    """Everything held of a customer: attributes, all orders newest first, events, decisions, and what is computed."""

    customer_id: str
    as_of: str
    currency: str
    attributes: dict[str, str | float | bool | None]
    orders: tuple[OrderBody, ...]
    events: tuple[ReportedBody, ...]
    decisions: tuple[dict[str, Any], ...]
    scores: ScoresBody
    timing: TimingBody


class ModelBody(Struct, frozen=True):
    """A published model: version, kind (LightGBM or a baseline), digest, horizon and its back-test metrics."""

    name: Literal["offers", "churn", "value"]
    version: str
    kind: str
    digest: str
    horizon_days: int | None
    metrics: dict[str, float]


class ModelsBody(Struct, frozen=True):
    """The models that answer now, and those that are missing with the reason."""

    as_of: str
    snapshot_id: str
    batch_run: str | None
    models: tuple[ModelBody, ...]
    missing: dict[str, str]
