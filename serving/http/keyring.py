"""Keys a worker knows: read from the store again and again, honoured for a while when it can't be reached."""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from pydantic import SecretStr

from recsys.errors import StoreUnavailable
from recsys.store import Key
from recsys.store.keys import PREFIX, digest_of

HONOURED = 900.0
"""How long keys read from the store count while it can't be reached [s]."""

SETTINGS_KEY = Key("settings", "BARISTA_API_KEY", ("admin",), 0)
"""What the one key of the settings may do: everything."""

OPERATOR_KEY = Key("operator", "BARISTA_API_KEY", ("metrics",), 0)
"""What it may do on a service of tenants: look at the service, not at theirs."""

LOG = structlog.get_logger("barista.keys")


class KeySource(Protocol):
    """Where keys are kept."""

    def all(self) -> dict[str, Key]:
        """Every key ever made by its digest."""

    def find(self, digest: str) -> Key | None:
        """The key with this SHA-256, None without one."""


class NoKeys:
    """Where no key is kept: there are those of the settings and of tenants."""

    def all(self) -> dict[str, Key]:
        """None."""
        return {}

    def find(self, _digest: str) -> Key | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class _Read:
    """Keys by digest as they stood at an instant of the monotonic clock [s]."""

    keys: dict[str, Key]
    at: float


class Keyring:
    """Finds the key a caller shows; one a process, refreshed off the event loop.

    `asks` is True as soon as any key was ever made, so revoking the last one opens no door; with `always` from the
    beginning.
    """

    def __init__(
        self,
        setting: SecretStr | None,
        store: Callable[[], KeySource],
        monotonic: Callable[[], float] = time.monotonic,
        *,
        always: bool = False,
        setting_opens: Key = SETTINGS_KEY,
    ) -> None:
        self._setting_opens = setting_opens
        self._always = always
        self._setting = digest_of(setting.get_secret_value()) if setting else None
        self._store, self._monotonic = store, monotonic
        self._read: _Read | None = None
        self.down = False
        """Whether the last reading failed."""

    @property
    def asks(self) -> bool:
        """Whether callers need a key; unknown while the store was never reached, which asks too."""
        return self._always or self._setting is not None or self._read is None or bool(self._read.keys)

    def refresh(self) -> None:
        """Read the keys from the store; while it can't be reached the ones read before stay, for `HONOURED`."""
        try:
            keys = self._store().all()
        except StoreUnavailable:
            if not self.down:
                LOG.warning("keys not read", honoured_seconds=HONOURED)
            self.down = True
            return
        self._read, self.down = _Read(keys, self._monotonic()), False

    def known(self, text: str) -> Key | None:
        """The key that reads `text` among those read last; None for another.

        Raises:
            StoreUnavailable: the keys read last are too old to be honoured.
        """
        digest = digest_of(text)
        if self._setting is not None and hmac.compare_digest(digest, self._setting):
            return self._setting_opens
        if not self.may_keep(text):
            return None
        if self._read is None or self._monotonic() - self._read.at > HONOURED:
            raise StoreUnavailable("The keys can't be read now", cure="Check the database")
        return self._read.keys.get(digest)

    @staticmethod
    def may_keep(text: str) -> bool:
        """Whether a text reads like a key of the store, so that looking for it there is of use."""
        return text.startswith(PREFIX)

    def fetch(self, text: str) -> Key | None:
        """The key that reads `text` from the store itself: one made since the last refresh; None for another.

        Raises:
            StoreUnavailable: it can't be looked up now.
        """
        return self._store().find(digest_of(text)) if self.may_keep(text) else None
