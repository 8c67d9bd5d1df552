"""What stands before every operation: the key with its scope, the caller's limit, the answer to a repeated write."""

import hashlib
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Self, cast

from starlette.requests import Request
from starlette.responses import Response

from recsys.settings import LOOPBACK
from recsys.store import AnswerStore, Key, KeyStore, LimitStore
from recsys.workspace import Workspace
from serving.http.access import Access
from serving.http.asking import Ask
from serving.http.direct import Prompt
from serving.http.idempotency import HEADER, Idempotency
from serving.http.keyring import Keyring
from serving.http.limiting import Limiter
from serving.http.operations import Operation
from serving.http.tokens import Tokens

Handler = Callable[[Request], Awaitable[Response]]


class Guards:
    """Wraps the handlers of operations; one a process."""

    def __init__(self, access: Access, limiter: Limiter, idempotency: Idempotency) -> None:
        self.access, self._limiter, self._idempotency = access, limiter, idempotency

    @classmethod
    def of(cls, workspace: Workspace, ask: Ask, *, reads: bool = True) -> Self:
        """The guards a workspace's settings ask for. A tenant's never stand open, nor do those beyond this machine.

        Requests `ask` the database. The keys are read if it `reads` them: nobody waits for a database that is lost.

        Raises:
            SettingsError: the public keys of access tokens can't be used.
        """
        settings = workspace.settings
        alone = settings.tenants is None
        always = not alone or settings.host not in LOOPBACK  # whatever keys a database turns out to hold
        ring = Keyring(settings.api_key, lambda: KeyStore(workspace.database()), always=always)
        if reads:
            ring.refresh()
        access = Access(ring, tokens=Tokens.of(settings), fetches=alone, ask=ask)
        limiter = Limiter(settings.rate_limit, settings.rate_window, lambda: LimitStore(workspace.database()), ask=ask)
        return cls(access, limiter, Idempotency(lambda: AnswerStore(workspace.database()), ask=ask))

    def refresh(self) -> None:
        """Read the keys anew and drop kept answers that are too old; not on the event loop."""
        self.access.refresh()
        self._idempotency.purge()

    def give_back(self) -> None:
        """Let requests run whose keys were claimed in vain, as soon as the database is there again."""
        self._idempotency.give_back()

    def around(self, operation: Operation) -> Handler:
        """The operation's handler behind its guards; a public one stands open and is told who is known."""
        handler = _awaited(operation.handler)
        if operation.public:
            return self._open(handler)

        async def guarded(request: Request) -> Response:
            key = await self.access.check(request, operation.scopes)
            if self._limiter.limits:
                request.scope["state"]["headers"] = await self._limiter.take(key.key_id, request.scope)
            if operation.writes and HEADER in request.headers:
                return await self._idempotency.answer(request, _owner(key), handler, outlasts=operation.outlasts)
            return await handler(request)

        return guarded

    def prompt(self, operation: Operation) -> Prompt | None:
        """The same without waiting, for a handler that is a plain function; None in place of an answer if it can't be.

        It can't where the caller's key or share of the limit has to be looked for in the store.
        """
        handler = operation.handler
        if iscoroutinefunction(handler) or operation.public or operation.writes:
            return None
        answer, limiter = cast(Callable[[Request], Response], handler), self._limiter

        def guarded(request: Request) -> Response | None:
            key = self.access.at_once(request.scope, operation.scopes)
            if key is None:
                return None
            if limiter.limits:
                headers = limiter.at_once(key.key_id)
                if headers is None:
                    return None
                request.scope["state"]["headers"] = headers
            return answer(request)

        return guarded

    def _open(self, handler: Handler) -> Handler:
        """A handler anyone may ask, which is told whether the caller is known."""

        async def opened(request: Request) -> Response:
            request.state.known = self.access.trusts(request)
            return await handler(request)

        return opened


def _awaited(handler: Callable[[Request], Awaitable[Response] | Response]) -> Handler:
    """A handler as one that may wait."""
    if iscoroutinefunction(handler):
        return cast(Handler, handler)

    async def awaited(request: Request) -> Response:
        return cast(Response, handler(request))

    return awaited


def _owner(key: Key) -> str:
    """Whose kept answers these are: a rotated key keeps its name, so that a retry with the new one finds its answer."""
    return hashlib.sha256(key.name.encode()).hexdigest()[:32]
