"""API keys: 256 random bits each, kept as their SHA-256, with scopes, expiry and rotation.

A key reads `barista_<id>_<secret>`; the id is no secret and names the key in lists and commands. Keys have 256 bits of
entropy, so a plain SHA-256 can't be searched for (no slow password hash needed) and a stolen database opens nothing.
"""

import hashlib
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, Column, RowMapping, String, Table, select, update

from recsys.errors import RequestRefused
from recsys.store.database import Database
from recsys.store.schema import METADATA

Scope = Literal["recommend", "score", "events", "metrics", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""What a key may do; `admin` may do everything."""

PREFIX = "barista_"
OVERLAP = 86_400
"""How long the former key of a rotation still works, unless told otherwise [s]."""

KEYS = Table(
    "api_keys",
    METADATA,
    Column("key_id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", String(100), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("replaces", String(16)),
)
"""Keys ever made, the revoked ones too; `digest` is the SHA-256 of the key, instants [s], `replaces` a rotated key."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; `expires_at` and `revoked_at` [s] are None for never."""

    key_id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    replaces: str | None = None

    def allows(self, scopes: Collection[str]) -> bool:
        """Whether it has one of `scopes`, or `admin`."""
        return "admin" in self.scopes or not set(scopes).isdisjoint(self.scopes)

    def state(self, now: float) -> Literal["valid", "expired", "revoked"]:
        """Whether it opens anything at `now` [s]."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


def digest_of(text: str) -> str:
    """SHA-256 of a key as it is kept, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


class KeyStore:
    """Keys of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, scopes: Collection[str], expires_at: int | None = None, now: int | None = None
    ) -> tuple[str, Key]:
        """Make a key and say it, once: only its SHA-256 is kept.

        Raises:
            RequestRefused: no scope or an unknown one, a name too long, an expiry that has passed.
        """
        made = int(time.time()) if now is None else now
        _check(name, scopes, expires_at, made)
        text, key = _new(name, tuple(scope for scope in SCOPES if scope in scopes), made, expires_at)
        self._insert(text, key)
        return text, key

    def rotate(self, key_id: str, overlap: int = OVERLAP, now: int | None = None) -> tuple[str, Key]:
        """A new key with the same name and scopes and as long a life; the former one works for `overlap` [s] more.

        Raises:
            RequestRefused: no such key, or it is revoked or expired already.
        """
        made = int(time.time()) if now is None else now
        old = self._usable(key_id, made)
        life = None if old.expires_at is None else made + old.expires_at - old.created_at
        text, key = _new(old.name, old.scopes, made, life)
        key = replace(key, replaces=key_id)
        ends = made + overlap if old.expires_at is None else min(old.expires_at, made + overlap)
        with self._database.writing() as connection:
            connection.execute(KEYS.insert().values(**_row(text, key)))
            connection.execute(update(KEYS).where(KEYS.c.key_id == key_id).values(expires_at=ends))
        return text, key

    def revoke(self, key_id: str, now: int | None = None) -> Key:
        """End a key at once; its row stays, so that the list says it was there.

        Raises:
            RequestRefused: no such key.
        """
        at = int(time.time()) if now is None else now
        with self._database.writing() as connection:
            query = update(KEYS).where(KEYS.c.key_id == key_id, KEYS.c.revoked_at.is_(None)).values(revoked_at=at)
            connection.execute(query)
        return self.named(key_id)

    def named(self, key_id: str) -> Key:
        """A key by its id.

        Raises:
            RequestRefused: no such key.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(KEYS).where(KEYS.c.key_id == key_id)).mappings().first()
        if row is None:
            raise RequestRefused("No such key", found=key_id, expected="an id of `barista keys list`")
        return _key(row)

    def all(self) -> dict[str, Key]:
        """Every key ever made by its digest, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.created_at, KEYS.c.key_id)).mappings().all()
        return {row["digest"]: _key(row) for row in rows}

    def find(self, digest: str) -> Key | None:
        """The key with this SHA-256, None without one."""
        with self._database.reading() as connection:
            row = connection.execute(select(KEYS).where(KEYS.c.digest == digest)).mappings().first()
        return None if row is None else _key(row)

    def _insert(self, text: str, key: Key) -> None:
        with self._database.writing() as connection:
            connection.execute(KEYS.insert().values(**_row(text, key)))

    def _usable(self, key_id: str, now: int) -> Key:
        key = self.named(key_id)
        if key.state(now) != "valid":
            raise RequestRefused(
                "Only a key that works can be rotated", found=key.state(now), cure="Make one by `barista keys create`"
            )
        return key


def _check(name: str, scopes: Collection[str], expires_at: int | None, now: int) -> None:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise RequestRefused("Unknown scope", found=unknown or "none", expected=", ".join(SCOPES))
    if not 1 <= len(name) <= 100:
        raise RequestRefused("The key needs a name", found=f"{len(name)} characters", expected="1 to 100")
    if expires_at is not None and expires_at <= now:
        raise RequestRefused("The key would have expired already", found=expires_at, expected="an instant to come")


def _new(name: str, scopes: tuple[Scope, ...], now: int, expires_at: int | None) -> tuple[str, Key]:
    key_id = secrets.token_hex(6)
    return f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}", Key(key_id, name, scopes, now, expires_at)


def _row(text: str, key: Key) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "digest": digest_of(text),
        "scopes": " ".join(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "replaces": key.replaces,
    }


def _key(row: RowMapping) -> Key:
    return Key(
        row["key_id"],
        row["name"],
        tuple(row["scopes"].split()),
        row["created_at"],
        row["expires_at"],
        row["revoked_at"],
        row["replaces"],
    )
