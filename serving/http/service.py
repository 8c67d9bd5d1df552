"""Requests → answers: reads the tail, asks the opened state, names the batch run the answer agrees with."""

from collections.abc import Sequence

from recsys.data.clock import to_iso
from recsys.data.tail import OrderEvent
from recsys.decisioning.answers import OfferContext, OfferRequest
from recsys.store import EventStore
from recsys.workspace import Workspace
from serving.answers import MODELS
from serving.http.bodies import (
    CustomerBody,
    EventReport,
    EventsBody,
    FoundCustomers,
    FoundItems,
    HealthBody,
    ModelBody,
    ModelsBody,
    OffersBody,
    RecommendationRequest,
    ScoresBody,
)
from serving.http.facts import customer_facts
from serving.http.finding import find_customers
from serving.http.problems import Problem
from serving.http.rendering import offers_body, scores_body
from serving.http.reporting import basket_lines, keep, read_events
from serving.http.state import Loaded, State
from serving.runs import ScoreRun


class Service:
    """The use cases of the HTTP interface over one workspace."""

    def __init__(self, state: State) -> None:
        self.state = state

    @property
    def workspace(self) -> Workspace:
        """The workspace served."""
        return self.state.workspace

    @property
    def store(self) -> EventStore:
        """The event store."""
        return self.workspace.events()

    def recommend(self, body: RecommendationRequest) -> OffersBody:
        """Offers for a customer, known or not.

        Raises:
            Problem: 409 without an offers model, 422 for money the currency does not know.
        """
        loaded = self.state.current()
        snapshot, as_of = loaded.snapshot, self._as_of(loaded)
        if "offers" not in loaded.versions:
            raise self._no_offers(loaded)
        request = offer_request(body, snapshot.facts.minor_digits)
        events = self.store.orders_of(body.customer_id)
        answer = loaded.answers.recommend(request, events, as_of)
        run = self._run_of(loaded, body.customer_id, events, as_of)
        agrees = run is not None and run.offers_like(request)
        return offers_body(answer, snapshot.facts, run.run_id if run and agrees else None)

    def score(self, customer_id: str, *, reasons: bool) -> ScoresBody:
        """Churn and value of a customer, known or not."""
        loaded = self.state.current()
        as_of = self._as_of(loaded)
        events = self.store.orders_of(customer_id)
        answer = loaded.answers.score(customer_id, events, as_of, reasons=reasons)
        run = self._run_of(loaded, customer_id, events, as_of)
        return scores_body(answer, loaded.snapshot.facts, run.run_id if run else None)

    def facts(self, customer_id: str) -> CustomerBody:
        """Known facts of a customer.

        Raises:
            Problem: 404 for one never heard of.
        """
        loaded = self.state.current()
        events = self.store.orders_of(customer_id)
        facts = customer_facts(loaded.snapshot, customer_id, events, self._as_of(loaded))
        if facts is None:
            cure = "Recommendations and scores answer for unknown customers too, labelled `evidence: low`"
            raise Problem("unknown-customer", "No purchase of this customer is known.", cure=cure)
        return facts

    def find_customers(self, search: str, limit: int) -> FoundCustomers:
        """Customers by the beginning of their id."""
        return find_customers(self.state.current().snapshot, search, limit)

    def find_items(self, search: str, limit: int) -> FoundItems:
        """Items by a part of their name."""
        return self.state.current().items.find(search, limit)

    def report(self, reports: Sequence[EventReport]) -> EventsBody:
        """Keep events durably; each counts in every answer after this one."""
        loaded = self.state.current()
        as_of = self._as_of(loaded)
        events = read_events(reports, loaded.snapshot, as_of)
        return keep(self.store, events, reports, loaded.snapshot, as_of)

    def models(self) -> ModelsBody:
        """The models that answer, and why others don't."""
        loaded = self.state.current()
        published = loaded.answers.models()
        as_of = self._as_of(loaded)
        run = loaded.run if loaded.run and self._holds(loaded, loaded.run, as_of) else None
        missing = {name: self._why_missing(loaded, name) for name in MODELS if name not in loaded.versions}
        bodies = (
            ModelBody(facts.name, facts.version, facts.kind, facts.digest, facts.horizon_days, dict(facts.metrics))  # type: ignore[arg-type]
            for facts in published
        )
        iso = _iso(loaded, as_of)
        return ModelsBody(iso, loaded.snapshot.snapshot_id, run.run_id if run else None, tuple(bodies), missing)

    def health(self) -> HealthBody:
        """Whether it can answer, and from what."""
        status, reasons = self.state.health()
        snapshot_id = None if status == "not ready" else self.state.current().snapshot.snapshot_id
        return HealthBody(status, reasons, snapshot_id)  # type: ignore[arg-type]

    def _as_of(self, loaded: Loaded) -> int:
        return self.workspace.as_of(loaded.snapshot)

    def _run_of(self, loaded: Loaded, customer_id: str, events: Sequence[OrderEvent], as_of: int) -> ScoreRun | None:
        """The published run whose rows this customer's answers are, None if state, clock or events differ."""
        run = loaded.run
        if run is None or not self._holds(loaded, run, as_of):
            return None
        if events and self.store.last_sequence(customer_id) > run.tail_sequence:
            return None
        known = bool(events) or loaded.snapshot.customers.index(customer_id) >= 0
        return run if known else None

    def _holds(self, loaded: Loaded, run: ScoreRun, as_of: int) -> bool:
        return run.holds(loaded.snapshot.snapshot_id, loaded.versions, as_of)

    def _no_offers(self, loaded: Loaded) -> Problem:
        return Problem("no-model", "No offers model is published.", cure=self._why_missing(loaded, "offers"))

    def _why_missing(self, loaded: Loaded, name: str) -> str:
        if name == "offers" and loaded.snapshot.catalogue.n_items <= 1:
            return (
                "The imported purchases name no products: import them with a product column, then run `barista train`"
            )
        return "Run `barista check` to see what the data can carry, then `barista train`"


def offer_request(body: RecommendationRequest, minor_digits: int) -> OfferRequest:
    """The request in the library's words; raises `Problem` 422 for money the currency does not know."""
    return OfferRequest(
        customer_id=body.customer_id,
        n=body.n,
        mode=body.mode,
        exclude=body.exclude,
        basket=basket_lines(body.basket, minor_digits),
        context=OfferContext(body.context.store_id, body.context.groups),
        reasons=body.reasons,
    )


def _iso(loaded: Loaded, as_of: int) -> str:
    return to_iso(as_of, loaded.snapshot.facts.timezone)
