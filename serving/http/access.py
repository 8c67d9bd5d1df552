"""Who may ask: a key with the right scope, and on a service without keys only this machine."""

import time
from collections.abc import Callable

from anyio.to_thread import run_sync
from starlette.requests import Request

from recsys.errors import SettingsError
from recsys.settings import LOOPBACK, Settings
from recsys.store import Key
from serving.http.keyring import Keyring
from serving.http.problems import Problem

LOCAL = Key("local", "this machine", ("admin",), 0)
"""Who asks on a service without keys."""

_REALM = 'Bearer realm="barista"'


class Access:
    """Checks each request for data.

    With keys: `Authorization: Bearer <key>`; the key must be known, neither expired nor revoked, and have one of the
    scopes the operation takes. Keys are found by their SHA-256, so how long the search takes says nothing of a key.
    Without any key the service listens on loopback only, and the Host header must name this machine, so that a page of
    elsewhere can't reach it by a forged name.
    """

    def __init__(self, ring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self.ring, self._clock = ring, clock

    async def check(self, request: Request, scopes: tuple[str, ...]) -> Key:
        """Who asks, when they may.

        Raises:
            Problem: 401 without a key that opens, 403 for one without the scope or a foreign Host.
            StoreUnavailable: the key can't be looked up now.
        """
        if not self.ring.asks:
            self._check_host(request)
            return LOCAL
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        text = given.strip()
        if scheme.lower() != "bearer" or not text:
            raise _unauthenticated("no key", "")
        key = self.ring.known(text) or await run_sync(self.ring.fetch, text)
        if key is None:
            raise _unauthenticated("another key", "invalid_token")
        state = key.state(self._clock())
        if state != "valid":
            raise _unauthenticated(f"a key that is {state}", "invalid_token")
        if not key.allows(scopes):
            raise _forbidden(key, scopes)
        return key

    @staticmethod
    def _check_host(request: Request) -> None:
        host = request.headers.get("host", "").rsplit("]", 1)
        name = host[0].strip("[") if len(host) > 1 else host[0].partition(":")[0]
        if name.lower() not in LOOPBACK:
            raise Problem(
                "foreign-host",
                "Without a key the service answers this machine only.",
                "another name in the Host header",
                ", ".join(LOOPBACK),
                "Set BARISTA_API_KEY or make a key by `barista keys create` to serve other machines",
            )


def _unauthenticated(found: str, error: str) -> Problem:
    return Problem(
        "unauthenticated",
        "The request carries no key this service lets in.",
        found,
        "Authorization: Bearer <key>",
        "Make one by `barista keys create`, or use that of BARISTA_API_KEY",
        headers={"WWW-Authenticate": f'{_REALM}, error="{error}"' if error else _REALM},
    )


def _forbidden(key: Key, scopes: tuple[str, ...]) -> Problem:
    wanted = " ".join(scopes)
    return Problem(
        "forbidden",
        "The key may not do this.",
        f"scopes {', '.join(key.scopes)}",
        f"scope {' or '.join(scopes)}",
        "Make a key with this scope by `barista keys create`",
        headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{wanted}"'},
    )


def refuse_open_door(settings: Settings, *, keys: bool = False) -> None:
    """Refuse to listen beyond this machine without a key; `keys` says that there are some in the store.

    Raises:
        SettingsError: no key and an address other than loopback.
    """
    if settings.api_key is None and not keys and settings.host not in LOOPBACK:
        raise SettingsError(
            "Without a key the service listens on this machine only",
            found=settings.host,
            expected=" or ".join(LOOPBACK),
            cure="Set BARISTA_API_KEY, make a key by `barista keys create`, or leave --host away",
        )
