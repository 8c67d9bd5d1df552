"""A recorded decision looked up: in the database while it can be asked, then in the journals, under its pseudonym."""

from anyio.to_thread import run_sync
from starlette.types import Scope

from recsys.decisioning.record import DecisionRecord
from recsys.errors import StoreError, StoreUnavailable
from recsys.store.decisions import renamed
from recsys.store.tombstones import PSEUDONYM
from serving.http.bodies import DecisionBody
from serving.http.problems import Problem
from serving.http.rendering import decision_body
from serving.http.service import Service


async def recorded(service: Service, scope: Scope, decision_id: str) -> DecisionBody:
    """A recorded decision, for the request of a scope.

    The database goes first: of a journal of which only a part is uploaded it knows who was erased since.

    Raises:
        Problem: 404 for one never recorded.
        StoreError: it waits in no journal, and the database can't be asked; or the journals can't be read.
    """
    lost = None
    try:
        record = await service.ask(scope, service.decision, decision_id)
    except StoreError as error:
        record, lost = None, error
    if record is None:
        waiting = await run_sync(_waiting, service, decision_id)
        if waiting is not None:
            record = await _named(service, scope, waiting)
        elif lost is not None:
            raise lost
        else:
            record = await service.ask(scope, _found, service, decision_id)  # uploaded between the two looks, perhaps
    if record is None:
        raise Problem("unknown-decision", "No such decision is recorded.")
    return decision_body(record, service.state.current().snapshot.facts)


def _waiting(service: Service, decision_id: str) -> DecisionRecord | None:
    """A decision of a journal.

    Raises:
        StoreUnavailable: one can't be read, so that nobody knows.
    """
    try:
        return service.workspace.journal().find(decision_id)
    except OSError as error:
        raise StoreUnavailable("The journals can't be read", found=error.strerror, cure="Ask again later") from error


async def _named(service: Service, scope: Scope, waiting: DecisionRecord) -> DecisionRecord:
    """A decision of a journal as the database would keep it now.

    While that can't be asked whoever is known to be erased has no name, also who came back afterwards.
    """
    try:
        name = await service.ask(scope, _pseudonym, service, waiting)
    except StoreError:
        erased_at = await run_sync(service.state.erased, waiting.customer_id)
        name = None if erased_at is None else PSEUDONYM
    return waiting if name is None else renamed(waiting, name)


def _found(service: Service, decision_id: str) -> DecisionRecord | None:
    return service.workspace.decisions().find(decision_id)


def _pseudonym(service: Service, waiting: DecisionRecord) -> str | None:
    known = waiting.customer_id, waiting.erasures, waiting.decided_at
    return service.workspace.erasures().pseudonym_of(*known)
