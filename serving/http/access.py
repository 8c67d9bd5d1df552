"""Who may ask: a key or token with the right scope, and on a service without keys only this machine."""

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import Scope

from recsys.errors import SettingsError, StoreUnavailable
from recsys.settings import LOOPBACK, Settings
from recsys.store import Key
from serving.http.asking import Ask, unbounded
from serving.http.keyring import Keyring
from serving.http.problems import Problem
from serving.http.requests import header_of
from serving.http.tokens import Tokens, unauthenticated

LOCAL = Key("local", "this machine", ("admin",), 0)
"""Who asks on a service without keys."""


class Access:
    """Checks each request for data.

    With keys: `Authorization: Bearer <key>`; the key must be known, neither expired nor revoked, and have one of the
    scopes the operation takes. Keys are found by their SHA-256, so how long the search takes says nothing of a key.
    With `tokens` an access token is let in the same way. Without any key the service listens on loopback only, and the
    Host header must name this machine, so that a page of elsewhere can't reach it by a forged name.

    A key that is not on the ring is looked for in the store unless `fetches` is False.
    """

    def __init__(
        self,
        ring: Keyring,
        clock: Callable[[], float] = time.time,
        *,
        tokens: Tokens | None = None,
        fetches: bool = True,
        ask: Ask = unbounded,
    ) -> None:
        self.ring, self._clock, self._tokens, self._fetches, self._ask = ring, clock, tokens, fetches, ask

    @property
    def asks(self) -> bool:
        """Whether callers need a key or a token."""
        return self._tokens is not None or self.ring.asks

    def refresh(self) -> None:
        """Read the keys anew, and the public keys of tokens if their file changed; not on the event loop."""
        self.ring.refresh()
        if self._tokens is not None:
            self._tokens.refresh()

    async def check(self, request: Request, scopes: tuple[str, ...]) -> Key:
        """Who asks, when they may.

        Raises:
            Problem: 401 without a key that opens, 403 for one without the scope or a foreign Host.
            StoreUnavailable: the key can't be looked up now.
        """
        key = self.at_once(request.scope, scopes)
        if key is not None:
            return key
        return self._let_in(await self._ask(request.scope, self.ring.fetch, bearer(request.scope)), scopes)

    def at_once(self, scope: Scope, scopes: tuple[str, ...]) -> Key | None:
        """As `check`, without waiting: None for a key that has to be looked for in the store.

        Raises:
            Problem: as there.
            StoreUnavailable: the keys could not be read, so that this may be one of them.
        """
        if not self.asks:
            self._check_host(scope)
            return LOCAL
        text = bearer(scope)
        if not text:
            raise unauthenticated("no key", "")
        if self._tokens is not None and self._tokens.reads(text):
            return self._let_in(self._tokens.key(text), scopes)
        key = self._known(text)
        return None if key is None and self._fetches and self.ring.may_keep(text) else self._let_in(key, scopes)

    def _known(self, text: str) -> Key | None:
        """The key on the ring; without `fetches` nobody can say whether there is another when it wasn't read."""
        key = self.ring.known(text)
        if key is None and not self._fetches and self.ring.down and self.ring.may_keep(text):
            raise StoreUnavailable("The keys can't be read now", cure="Check the database")
        return key

    def _let_in(self, key: Key | None, scopes: tuple[str, ...]) -> Key:
        """The key that was found, if it opens what takes one of `scopes`."""
        if key is None:
            raise unauthenticated("another key")
        state = key.state(self._clock())
        if state != "valid":
            raise unauthenticated(f"a key that is {state}")
        if not key.allows(scopes):
            raise forbidden(key, scopes)
        return key

    def knows(self, text: str) -> bool:
        """Whether this is a key of the ring, or a token for this tenant by what it says of itself, unproved.

        Raises:
            StoreUnavailable: the keys could not be read, so that this may be one of them.
        """
        if self._tokens is not None and self._tokens.reads(text):
            return self._tokens.addressed(text)
        return self._known(text) is not None

    def opens(self, text: str) -> bool:
        """Whether this is a key of the ring or a token in order that works now, whatever for."""
        try:
            key = self._tokens.key(text) if self._tokens and self._tokens.reads(text) else self.ring.known(text)
        except (Problem, StoreUnavailable):
            return False
        return key is not None and key.state(self._clock()) == "valid"

    def trusts(self, request: Request) -> bool:
        """Whether one who may ask anyway has a key that works now, or on a service without keys is this machine."""
        if self.asks:
            return self.opens(bearer(request.scope))
        try:
            self._check_host(request.scope)
        except Problem:
            return False
        return True

    @staticmethod
    def _check_host(scope: Scope) -> None:
        host = header_of(scope, b"host").rsplit("]", 1)
        name = host[0].strip("[") if len(host) > 1 else host[0].partition(":")[0]
        if name.lower() not in LOOPBACK:
            raise Problem(
                "foreign-host",
                "Without a key the service answers this machine only.",
                "another name in the Host header",
                ", ".join(LOOPBACK),
                "Set BARISTA_API_KEY or make a key by `barista keys create` to serve other machines",
            )


def bearer(scope: Scope) -> str:
    """What a request shows after `Authorization: Bearer`; empty without it."""
    scheme, _, given = header_of(scope, b"authorization").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def forbidden(key: Key, scopes: tuple[str, ...]) -> Problem:
    """The 403 of a key without one of `scopes`."""
    wanted = " ".join(scopes)
    return Problem(
        "forbidden",
        "The key may not do this.",
        f"scopes {', '.join(key.scopes) or 'none'}",
        f"scope {' or '.join(scopes)}",
        "Make a key with this scope by `barista keys create`",
        headers={"WWW-Authenticate": f'Bearer realm="barista", error="insufficient_scope", scope="{wanted}"'},
    )


def refuse_open_door(settings: Settings, *, keys: bool = False) -> None:
    """Refuse to listen beyond this machine without a key; `keys` says that there are some in the store.

    Raises:
        SettingsError: no key and an address other than loopback.
    """
    asks = keys or settings.api_key is not None or settings.oauth_jwks is not None or settings.tenants is not None
    if not asks and settings.host not in LOOPBACK:
        raise SettingsError(
            "Without a key the service listens on this machine only",
            found=settings.host,
            expected=" or ".join(LOOPBACK),
            cure="Set BARISTA_API_KEY, make a key by `barista keys create`, or leave --host away",
        )
