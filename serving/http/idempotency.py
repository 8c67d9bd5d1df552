"""`Idempotency-Key`: a write repeated under the same key is answered as the first time and done once."""

import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from recsys.errors import StoreError, StoreFull, StoreUnavailable
from recsys.store.idempotency import AnswerStore, Begun, Kept
from serving.http.asking import Ask
from serving.http.problems import FieldFault, Problem
from serving.http.requests import invalid, limited_body

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"

PURGE_SECONDS = 600.0
"""How often a worker drops answers that are too old [s]."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
Handler = Callable[[Request], Awaitable[Response]]


class Idempotency:
    """Runs writes that carry a key once, over the answers kept in the store."""

    def __init__(
        self, store: Callable[[], AnswerStore], clock: Callable[[], float] = time.monotonic, ask: Ask = run_sync
    ) -> None:
        self._store, self._clock, self._ask = store, clock, ask
        self._purge_at = clock() + PURGE_SECONDS
        self._owed: set[tuple[str, str]] = set()

    def purge(self) -> None:
        """Give back keys the store could not take before; now and then drop the answers that are too old."""
        with suppress(StoreError):
            for owner, key in tuple(self._owed):
                self._give_back(owner, key)
        if self._clock() < self._purge_at:
            return
        self._purge_at = self._clock() + PURGE_SECONDS
        with suppress(StoreError):
            self._store().purge()

    async def answer(self, request: Request, owner: str, handler: Handler, *, outlasts: bool = False) -> Response:
        """The answer of `handler`, or the one kept under the request's key for the same request of the same owner.

        An answer that is no success is not kept: nothing was done, and the request may be sent again.
        With the store out of reach one that `outlasts` it is answered anew, and the key stays as it was.

        Raises:
            Problem: 409 while the first one runs, 422 for another request under the key or a strange key.
            StoreUnavailable: nothing was done.
        """
        key = request.headers.get(HEADER)
        if key is None:
            return await handler(request)
        _check(key)
        fingerprint = await _fingerprint(request)
        try:
            begun = await self._begin(owner, key, fingerprint)
        except StoreUnavailable:
            if outlasts:
                return await handler(request)
            raise
        if begun.kept is not None:
            return Response(begun.kept.body, begun.kept.status, {REPLAYED: "true"}, begun.kept.media_type)
        if begun.state != "run":
            raise _conflict(begun.state)
        return await self._run(request, owner, key, handler, begun.erasures)

    async def _begin(self, owner: str, key: str, fingerprint: str) -> Begun:
        """Claim a key; one that may be claimed although nobody said so in time is given back later."""
        asked: list[str] = []

        def begin() -> Begun:
            asked.append(key)
            return self._store().begin(owner, key, fingerprint)

        if (owner, key) in self._owed:
            await self._ask(self._give_back, owner, key)
        try:
            return await self._ask(begin)
        except StoreUnavailable as error:
            if asked and not isinstance(error, StoreFull):
                self._owed.add((owner, key))
            raise

    async def _run(self, request: Request, owner: str, key: str, handler: Handler, erasures: int) -> Response:
        request.state.customers = frozenset()
        try:
            response = await handler(request)
        except BaseException:
            self._owed.add((owner, key))
            with suppress(StoreError):
                await self._ask(self._give_back, owner, key)
            raise
        kept = Kept(response.status_code, response.media_type or "", bytes(response.body))
        try:
            await self._ask(self._finish, owner, key, kept, request.state.customers, erasures)
        except StoreError:  # done, but a repetition can't be told so: every write finds out by itself what is done
            self._owed.add((owner, key))
        return response

    def _finish(self, owner: str, key: str, kept: Kept, customers: frozenset[str], erasures: int) -> None:
        self._store().finish(owner, key, kept, customers, erasures)

    def _give_back(self, owner: str, key: str) -> None:
        """Let the next request with a key run."""
        self._store().forget(owner, key)
        self._owed.discard((owner, key))


async def _fingerprint(request: Request) -> str:
    """SHA-256 of method, path, query and body."""
    head = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.sha256(head.encode() + await limited_body(request)).hexdigest()


def _check(key: str) -> None:
    if not _KEY.fullmatch(key):
        fault = FieldFault("header Idempotency-Key", "Not a key.", "another text", "1 to 255 visible ASCII characters")
        raise invalid([fault], "header")


def _conflict(state: str) -> Problem:
    if state == "running":
        return Problem(
            "still-running",
            "The first request with this Idempotency-Key is still running.",
            cure="Ask again after Retry-After",
            headers={"Retry-After": "1"},
        )
    return Problem(
        "key-reused",
        "This Idempotency-Key was used for another request.",
        "another method, path, query or body",
        "the same request",
        "Use a new key for a new request",
    )
