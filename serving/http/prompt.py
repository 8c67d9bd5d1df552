"""Answers that need no waiting, given on the connection itself when the turn of their request comes.

A task, a chain of coroutines and two messages cost more than a customer's scores; an operation that never waits needs
none of them. Whatever is unusual goes the long way, through the application: another server than ours, pages of other
origins, a key or a limit that has to be looked for in the store.
"""

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from recsys.logs import REQUEST_ID
from serving.http.admission import overloaded
from serving.http.direct import Problems, Way, Ways, answer_of
from serving.http.envelope import RequestIds, failed, head_of
from serving.http.problems import respond


class Whole(NamedTuple):
    """An answer as it leaves: status, header lines, body."""

    status: int
    head: bytes
    body: bytes


class Prompts:
    """Those of `ways` that can be answered so, with the same problems as by the long way."""

    def __init__(self, ways: Ways, problems: Problems) -> None:
        self._ways, self._problems, self._ids = ways, problems, RequestIds()

    def find(self, scope: Scope) -> Way | None:
        """The way of a request that can be answered so."""
        return self._ways.find(scope, prompt=True)

    def answer(self, way: Way, scope: Scope) -> Whole | None:
        """The answer to a request; None where it has to go the long way."""
        request_id = scope["state"]["request_id"] = self._ids.of(scope)
        request, bound = Request(scope), REQUEST_ID.set(request_id)
        try:
            response = way.prompt(request)  # type: ignore[misc]  # `find` gives no other way
        except Exception as error:
            response = self._problem(request, error, request_id)
        finally:
            REQUEST_ID.reset(bound)
        return None if response is None else _whole(response, scope)

    def _problem(self, request: Request, error: Exception, request_id: str) -> Response:
        try:
            return answer_of(self._problems, request, error)
        except Exception as unforeseen:
            return failed(unforeseen, request_id)

    def refuse(self, scope: Scope) -> Whole:
        """The refusal of a request whose turn came too late."""
        request_id = scope["state"]["request_id"] = self._ids.of(scope)
        del scope["endpoint"]  # as one that was refused before it had a route
        return _whole(respond(overloaded(), request_id), scope)


def _whole(response: Response, scope: Scope) -> Whole:
    return Whole(response.status_code, head_of(response.raw_headers, scope["state"]), bytes(response.body))
