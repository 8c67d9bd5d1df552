"""Requests → answers: reads the tail, asks the opened state, names the batch run the answer agrees with."""

import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from recsys.data.clock import to_iso
from recsys.data.looks import looks_since
from recsys.decisioning.answers import Novelty, OfferContext, OfferRequest
from recsys.decisioning.record import DecisionRecord, content_of, record_of
from recsys.errors import ClockError, StoreError, StoreUnavailable
from recsys.store import NO_TAIL, EventStore, Tail
from recsys.store.patience import within
from recsys.workspace import Workspace
from serving.answers import MODELS
from serving.challengers import Challengers
from serving.http.asking import Asking
from serving.http.bodies import (
    CustomerBody,
    EventReport,
    EventsBody,
    FoundCustomers,
    FoundItems,
    Language,
    ModelBody,
    ModelsBody,
    OffersBody,
    RecommendationRequest,
    ScoresBody,
)
from serving.http.facts import customer_facts
from serving.http.finding import find_customers
from serving.http.health_bodies import HealthBody
from serving.http.problems import Problem
from serving.http.rendering import offers_body, scores_body
from serving.http.reporting import basket_lines, keep, read_events
from serving.http.state import Loaded, State
from serving.http.tags import TERMS, Basis, Digest, begun, matches, tag_of
from serving.http.timing_bodies import TimingBody, timing_body
from serving.laps import Laps
from serving.outage import Outage
from serving.recording import Kept, Recorder
from serving.runs import ScoreRun
from serving.shadow import Ranked, Rated, Shadow

NO_DATABASE = "The database can't be reached: answers come from the snapshot alone, writes are refused."
NO_SPACE = "The database's disk is full: writes are refused, offers are kept in the journal while there is space."

READING = 2
"""What one answer reads takes at most this part of `database_patience`: the worker does nothing else meanwhile."""

QUICK = 4
"""A lost database is there again when it answers within this part of it: a write asks it half a dozen times."""

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class Decided(NamedTuple):
    """An answer that may leave when its record is kept."""

    body: OffersBody
    record: DecisionRecord


class Scored(NamedTuple):
    """A scores answer with its entity tag; no body when the caller has it already."""

    tag: str
    body: ScoresBody | None


def _in_time(
    answer: "Callable[Concatenate[Service, _Asked], _Answer]",
) -> "Callable[Concatenate[Service, _Asked], _Answer]":
    """An answer whose reads, all together, wait no longer for the database than one may; it goes on without them."""

    @wraps(answer)
    def bounded(self: "Service", /, *asked: _Asked.args, **options: _Asked.kwargs) -> _Answer:
        with within(self.patience / READING):
            return answer(self, *asked, **options)

    return bounded


class Service:
    """The use cases of the HTTP interface over one workspace."""

    def __init__(
        self,
        state: State,
        counted: Callable[[Kept, int], object] = lambda _kept, _count: None,
        shadow: Shadow | None = None,
    ) -> None:
        self.state = state
        self._terms = tuple(getattr(state.workspace.settings, name) for name in TERMS)
        self._common: tuple[Loaded, Digest] | None = None
        self.shadow = shadow or Shadow(Challengers(state.workspace), 0.0, 0, lambda _seen: None, lambda _fate: None)
        self.patience = state.workspace.settings.database_patience
        self.outage = Outage(self._probe)
        self.ask = Asking(self.outage)
        self.recorder = Recorder(
            state.workspace.decisions, state.workspace.journal(), self.outage, counted, patience=self.patience
        )

    def _probe(self) -> None:
        """Find out whether the database can be asked again, and soon enough for a write to be done in time.

        Raises:
            StoreError: it can't.
        """
        with within(self.patience):
            self.workspace.decisions().find("")  # by a connection that may have to be made first
            began = time.monotonic()
            self.workspace.database().look()
        if time.monotonic() - began > self.patience / QUICK:
            raise StoreUnavailable("The database answers too slowly")
        self.workspace.database().renew()

    def begin(self) -> None:
        """Find out whether the database answers: a service starts without it, too, and nobody waits for it then."""
        try:
            self.state.reach()
        except StoreUnavailable as error:
            self.outage.begin(error)

    @property
    def workspace(self) -> Workspace:
        """The workspace served."""
        return self.state.workspace

    @property
    def store(self) -> EventStore:
        """The event store."""
        return self.workspace.events()

    @_in_time
    def decide(self, body: RecommendationRequest, laps: Laps | None = None) -> Decided:
        """Offers for a customer, known or not, and what is to be kept of them; `laps` times the stages.

        Raises:
            Problem: 409 without an offers model, 422 for money the currency does not know.
        """
        loaded = self.state.current()
        snapshot, as_of = loaded.snapshot, self._as_of(loaded)
        if "offers" not in loaded.versions:
            raise self._no_offers(loaded)
        request = offer_request(body, snapshot.facts.minor_digits)
        ended = laps or Laps()
        ended.of(snapshot.snapshot_id, loaded.versions, ("offers",))
        guesses = self.state.erased.guesses
        tail, stale = self._tail(body.customer_id, looks_since(as_of))
        ranking = loaded.answers.rank(request, tail.orders, as_of, ended, tail.looks)
        seen = {"events": len(tail.orders), "last_sequence": tail.last_sequence, "looks": len(tail.looks)}
        content = content_of(request, ranking, loaded.origin, **seen, stale=stale)
        known = min(tail.erasures, self.state.erased.known) if self.state.erased.guesses != guesses else tail.erasures
        record = record_of(body.customer_id, snapshot.snapshot_id, content, known)
        self.shadow.look(Ranked(loaded.answers, request, tail.orders, as_of, ranking, tail.looks))
        run = self._run_of(loaded, body.customer_id, tail, as_of)
        agrees = run.run_id if run is not None and run.offers_like(request) else None
        return Decided(offers_body(ranking.answer, snapshot.facts, agrees, record.decision_id, stale=stale), record)

    def decision(self, decision_id: str) -> DecisionRecord | None:
        """A recorded decision, from the database; None for one it has not.

        Raises:
            StoreUnavailable: the database can't be asked.
        """
        return self.workspace.decisions().find(decision_id)

    def score(self, customer_id: str, *, reasons: bool, language: Language = "en") -> ScoresBody:
        """Churn and value of a customer, known or not."""
        body = self.scored(customer_id, language if reasons else None).body
        assert body is not None  # nobody said to have it
        return body

    @_in_time
    def scored(
        self, customer_id: str, language: Language | None, *, known_tags: str | None = None, laps: Laps | None = None
    ) -> Scored:
        """Churn and value of a customer, known or not; no body when `known_tags` (If-None-Match) names the answer.

        `language` of the reasons, None for none.
        """
        loaded, ended = self.state.current(), laps or Laps()
        ended.of(loaded.snapshot.snapshot_id, loaded.versions, ("churn", "value"))
        as_of = self._as_of(loaded)
        tail, customer, stale = self._known(loaded, customer_id)
        ended("state")
        run = self._run_of(loaded, customer_id, tail, as_of, customer)
        run_id, snapshot = run.run_id if run else None, loaded.snapshot
        tag = tag_of(self._begun(loaded), Basis(run_id, as_of, customer_id, customer, tail, language or "", stale))
        if matches(known_tags, tag):
            return Scored(tag, None)
        reasons, told = language is not None, language or "en"
        answer = loaded.answers.score(
            customer_id, tail.orders, as_of, reasons=reasons, language=told, customer=customer
        )
        ended("scoring")
        self.shadow.look(Rated(loaded.answers, customer_id, tail.orders, as_of, answer))
        return Scored(tag, scores_body(answer, snapshot.facts, run_id, stale=stale))

    @_in_time
    def timing(self, customer_id: str, *, categories: bool) -> TimingBody:
        """When a customer, known or not, buys next."""
        loaded = self.state.current()
        as_of = self._as_of(loaded)
        tail, stale = self._tail(customer_id)
        answer = loaded.answers.timing(customer_id, tail.orders, as_of, categories=categories)
        run = self._run_of(loaded, customer_id, tail, as_of)
        return timing_body(answer, loaded.snapshot.facts, run.run_id if run else None, stale=stale)

    @_in_time
    def facts(self, customer_id: str) -> CustomerBody:
        """Known facts of a customer.

        Raises:
            Problem: 404 for one never heard of.
        """
        loaded = self.state.current()
        tail, stale = self._tail(customer_id)
        facts = customer_facts(loaded.snapshot, customer_id, tail.orders, self._as_of(loaded), stale=stale)
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
        """Keep events durably; each counts in every answer after this one.

        Raises:
            Problem: 422 for what can't be kept.
            StoreUnavailable: the database can't be reached or has no space left; nothing was kept.
        """
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
        troubles = [NO_DATABASE] * self.outage.now + [NO_SPACE] * self.outage.full
        if troubles:
            status, reasons = ("degraded" if status == "ok" else status), (*reasons, *troubles)
        if status == "not ready":
            return HealthBody("not ready", reasons)
        snapshot = self.state.current().snapshot
        try:
            self.workspace.as_of(snapshot)
        except ClockError as error:
            return HealthBody("not ready", (*reasons, error.message()), snapshot.snapshot_id)
        return HealthBody(status, reasons, snapshot.snapshot_id)  # type: ignore[arg-type]

    def why_missing(self, name: str) -> str:
        """Why a model does not answer, and the cure."""
        return self._why_missing(self.state.current(), name) if self.state.opened else "Nothing is opened."

    def _as_of(self, loaded: Loaded) -> int:
        return self.workspace.as_of(loaded.snapshot)

    def _tail(self, customer_id: str, looks_from: int | None = None) -> tuple[Tail, bool]:
        """Newer orders of a customer, and looks since an instant [s]; none, and True, while the database is lost.

        To be asked before anything else of the customer: it says how many erasures the answer knows at least.
        """
        if not self.outage.now:
            try:
                if looks_from is not None:
                    return self.store.tail_with_looks(customer_id, looks_from), False
                return self.store.tail_of(customer_id), False
            except StoreError as error:  # what refuses to be read is of no more use than what is away
                self.outage.begin(error)
        return NO_TAIL._replace(erasures=self.state.erased.known), True

    def _known(self, loaded: Loaded, customer_id: str) -> tuple[Tail, int, bool]:
        """Newer orders of a customer and the index in the snapshot, by one read; True while the database is lost."""
        if not self.outage.now:
            try:
                erasures = self.workspace.erasures()
                subject = erasures.subject(customer_id)
                tail, any_erased, erased = self.store.tail_and_erasure(customer_id, subject or "")
                if any_erased and subject is None:  # the first erasure this process hears of
                    erased = erasures.erased_at(customer_id)
                return tail, loaded.snapshot.customers.index_unless(customer_id, erased), False
            except StoreError as error:
                self.outage.begin(error)
        return NO_TAIL, loaded.snapshot.customers.index(customer_id), True

    def _begun(self, loaded: Loaded) -> Digest:
        """The digest of what all tags of a state have in common."""
        if self._common is None or self._common[0] is not loaded:
            self._common = loaded, begun(loaded.snapshot.snapshot_id, tuple(loaded.versions.items()), self._terms)
        return self._common[1]

    def _run_of(
        self, loaded: Loaded, customer_id: str, tail: Tail, as_of: int, customer: int | None = None
    ) -> ScoreRun | None:
        """The published run whose rows this customer's answers are, None if state, clock or events differ.

        `customer` is the index in the snapshot where it was looked up already.
        """
        run = loaded.run
        if run is None or not self._holds(loaded, run, as_of):
            return None
        if tail.last_sequence > run.tail_sequence:
            return None
        if customer is None:
            customer = loaded.snapshot.customers.index(customer_id)
        return run if tail.orders or customer >= 0 else None

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
        language=body.language,
        novelty=Novelty(body.novelty.level, body.novelty.look_back_days),
        attributes=body.attributes,
    )


def _iso(loaded: Loaded, as_of: int) -> str:
    return to_iso(as_of, loaded.snapshot.facts.timezone)
