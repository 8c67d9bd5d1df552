"""What stands before every operation: the key with its scope, the caller's limit, the answer to a repeated write."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Self

from starlette.requests import Request
from starlette.responses import Response

from recsys.store import AnswerStore, Key, KeyStore, LimitStore
from recsys.workspace import Workspace
from serving.http.access import Access
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
    def of(cls, workspace: Workspace) -> Self:
        """The guards a workspace's settings ask for; the keys are read. A tenant's never stand open.

        Raises:
            SettingsError: the public keys of access tokens can't be used.
        """
        settings = workspace.settings
        alone = settings.tenants is None
        ring = Keyring(settings.api_key, lambda: KeyStore(workspace.database()), always=not alone)
        ring.refresh()
        access = Access(ring, tokens=Tokens.of(settings), fetches=alone)
        limiter = Limiter(settings.rate_limit, settings.rate_window, lambda: LimitStore(workspace.database()))
        return cls(access, limiter, Idempotency(lambda: AnswerStore(workspace.database())))

    def refresh(self) -> None:
        """Read the keys anew and drop kept answers that are too old; not on the event loop."""
        self.access.refresh()
        self._idempotency.purge()

    def around(self, operation: Operation) -> Handler:
        """The operation's handler behind its guards; a public one stands open."""
        if operation.public:
            return operation.handler

        async def guarded(request: Request) -> Response:
            key = await self.access.check(request, operation.scopes)
            if self._limiter.limits:
                request.scope["state"]["headers"] = await self._limiter.take(key.key_id)
            if operation.writes and HEADER in request.headers:
                return await self._idempotency.answer(request, _owner(key), operation.handler)
            return await operation.handler(request)

        return guarded


def _owner(key: Key) -> str:
    """Whose kept answers these are: a rotated key keeps its name, so that a retry with the new one finds its answer."""
    return hashlib.sha256(key.name.encode()).hexdigest()[:32]
