"""Who may ask: the key, and on a service without one only this machine."""

import hmac

from pydantic import SecretStr
from starlette.requests import Request

from recsys.errors import SettingsError
from recsys.settings import LOOPBACK, Settings
from serving.http.problems import Problem


class Access:
    """Checks each request for data.

    With a key: `Authorization: Bearer <key>`, compared in constant time. Without one the service listens on loopback
    only, and the Host header must name this machine, so that a page of elsewhere can't reach it by a forged name.
    """

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key.get_secret_value().encode() if key else None

    def check(self, request: Request) -> None:
        """Let a request pass.

        Raises:
            Problem: 401 without the right key, 403 for a foreign Host.
        """
        if self._key is None:
            self._check_host(request)
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self._key)
        if scheme.lower() != "bearer" or not right:
            raise Problem(
                "unauthenticated",
                "The request carries no key this service knows.",
                "another key" if given else "no key",
                "Authorization: Bearer <BARISTA_API_KEY>",
                headers={"WWW-Authenticate": 'Bearer realm="barista"'},
            )

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
                "Set BARISTA_API_KEY to serve other machines",
            )


def refuse_open_door(settings: Settings) -> None:
    """Refuse to listen beyond this machine without a key.

    Raises:
        SettingsError: no key and an address other than loopback.
    """
    if settings.api_key is None and settings.host not in LOOPBACK:
        raise SettingsError(
            "Without a key the service listens on this machine only",
            found=settings.host,
            expected=" or ".join(LOOPBACK),
            cure="Set BARISTA_API_KEY, or leave --host away",
        )
