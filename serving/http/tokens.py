"""Access tokens of an OAuth2 server (client credentials): signed JWTs in the place of keys.

Sources: RFC 9068 (JWT access tokens), RFC 8725 (what goes wrong with JWTs), RFC 7517 (key sets). The algorithm is that
of the public key in the file, never what a token says; tokens without a signature or signed by a shared secret are
unknown here. Nothing is fetched: the key set is a file that an operator puts there, read again when it changes.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import structlog

from recsys.errors import SettingsError
from recsys.settings import Settings
from recsys.store import SCOPES, Key
from serving.http.problems import Problem

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
"""Signatures that count: a public key checks them and can't make them."""

RSA_BITS = 2048
"""Shortest RSA key that is taken (RFC 7518, section 3.3) [bits]."""

MOST = 10_000
"""Tokens remembered as checked; beyond it all are forgotten."""

LONGEST = 8_192
"""Longest token that is looked into [characters]."""

LOG = structlog.get_logger("barista.tokens")


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say; `leeway` [s] is how far the issuer's clock may be off, no `tenant` asks for none."""

    issuer: str
    audience: str
    leeway: int = 30
    scope_prefix: str = ""
    tenant_claim: str = "tenant"
    tenant: str = ""


class Tokens:
    """Checks tokens against the public keys of a file; one a process, refreshed off the event loop."""

    def __init__(self, file: Path, rules: TokenRules, clock: Callable[[], float] = time.time) -> None:
        self._file, self._rules, self._clock = file, rules, clock
        self._text = file_text(file)
        self._keys = read_keys(self._text)
        self._checked: dict[bytes, Key] = {}

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The tokens a service's settings let in; None when they name no key set.

        Raises:
            SettingsError: no issuer, no audience, or a key set that can't be used.
        """
        if settings.oauth_jwks is None:
            return None
        if not settings.oauth_issuer or not settings.oauth_audience:
            raise SettingsError(
                "Access tokens need an issuer and an audience",
                expected="BARISTA_OAUTH_ISSUER and BARISTA_OAUTH_AUDIENCE beside BARISTA_OAUTH_JWKS",
            )
        rules = TokenRules(
            settings.oauth_issuer,
            settings.oauth_audience,
            settings.oauth_leeway,
            settings.oauth_scope_prefix,
            settings.oauth_tenant_claim,
            settings.oauth_tenant,
        )
        return cls(settings.oauth_jwks, rules)

    def refresh(self) -> None:
        """Read the key set again if its file changed; one that can't be used leaves the former."""
        try:
            text = file_text(self._file)
            if text != self._text:
                self._keys, self._text, self._checked = read_keys(text), text, {}
        except SettingsError as error:
            LOG.error("key set not read", reason=error.what)

    @staticmethod
    def reads(text: str) -> bool:
        """Whether a text is a token by its form: three parts, the first a JSON object in base64url."""
        return text.startswith("ey") and text.count(".") == 2

    def addressed(self, text: str) -> bool:
        """Whether a token says that it is for this tenant; nothing is proved by it."""
        import jwt

        try:
            claims = jwt.decode(text, options={"verify_signature": False}) if len(text) <= LONGEST else {}
        except jwt.PyJWTError:
            return False
        return bool(claims.get(self._rules.tenant_claim) == self._rules.tenant)

    def key(self, text: str) -> Key:
        """What a token lets its bearer do, as if it were a key.

        Raises:
            Problem: 401 for every token that is not entirely in order.
        """
        digest = hashlib.sha256(text.encode()).digest()
        checked = self._checked  # these, should the key set change meanwhile: the next ones were checked against it
        found = checked.get(digest)
        if found is None:
            found = self._key_of(self._claims(text))
            if len(checked) >= MOST:
                checked.clear()
            checked[digest] = found
        return found

    def _claims(self, text: str) -> dict[str, Any]:
        import jwt

        if len(text) > LONGEST:
            raise unauthenticated("a token that is too long")
        try:
            signer = self._signer(jwt.get_unverified_header(text))
            claims: dict[str, Any] = jwt.decode(
                text,
                signer.key,
                algorithms=[signer.algorithm_name],
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=self._rules.leeway,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise unauthenticated(_fault(error)) from error
        return claims

    def _signer(self, header: dict[str, Any]) -> "PyJWK":
        """The public key a token was signed with, by its id; a set of one needs none."""
        named = header.get("kid")
        signer = next(iter(self._keys.values())) if named is None and len(self._keys) == 1 else None
        signer = self._keys.get(named) if isinstance(named, str) else signer
        if signer is None or header.get("alg") != signer.algorithm_name or "crit" in header:
            raise unauthenticated("a token of an unknown key or algorithm")
        return signer

    def _key_of(self, claims: dict[str, Any]) -> Key:
        if self._rules.tenant and claims.get(self._rules.tenant_claim) != self._rules.tenant:
            raise unauthenticated("a token of another tenant")
        granted = granted_scopes(claims, self._rules.scope_prefix)
        scopes = tuple(scope for scope in SCOPES if scope in granted)
        caller = hashlib.sha256(str(claims["sub"]).encode()).hexdigest()[:24]
        return Key(f"token-{caller}", f"token {caller}", scopes, 0, int(claims["exp"]) + self._rules.leeway)


def granted_scopes(claims: dict[str, Any], prefix: str) -> frozenset[str]:
    """Scopes of a token (`scope`, a text of words, or `scp`) that begin with `prefix`, without it."""
    said = claims.get("scope", claims.get("scp", ""))
    words = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
    texts = (word for word in words if isinstance(word, str) and word.startswith(prefix))
    return frozenset(text.removeprefix(prefix) for text in texts)


def file_text(file: Path) -> str:
    """The text of a key set's file; raises `SettingsError` when it can't be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(type(error).__name__) from error


def read_keys(text: str) -> "dict[str, PyJWK]":
    """Public signature keys of a key set by id.

    Raises:
        SettingsError: it is none, holds a private key or a shared secret, or one that is too weak.
    """
    try:
        from jwt import InvalidKeyError, PyJWK, PyJWKError
    except ImportError as error:
        raise SettingsError("Access tokens need PyJWT", cure="Install barista[oauth]") from error
    try:
        listed = [each for each in json.loads(text)["keys"] if each.get("use", "sig") == "sig"]
        secret = [each for each in listed if "d" in each or "k" in each]
        keys = {str(each.get("kid", number)): PyJWK(each) for number, each in enumerate(listed)}
    except (ValueError, KeyError, TypeError, AttributeError, PyJWKError, InvalidKeyError) as error:
        raise _unusable(type(error).__name__) from error
    weak = [each for each in keys.values() if each.algorithm_name not in ALGORITHMS or _bits(each) < RSA_BITS]
    if secret or weak or not keys or len(keys) < len(listed):
        found = "a private or secret key" if secret else "a weak or unknown key" if weak else f"{len(keys)} keys"
        raise _unusable(found)
    return keys


def _bits(key: "PyJWK") -> int:
    """Length of an RSA key [bits]; the curves that are taken have one length each, which is enough."""
    return int(key.key.key_size) if key.key_type == "RSA" else RSA_BITS


def _unusable(found: str) -> SettingsError:
    return SettingsError(
        "BARISTA_OAUTH_JWKS names no key set that can be used",
        found=found,
        expected=f"public keys of {', '.join(sorted(ALGORITHMS))}, each with its own kid, RSA from {RSA_BITS} bits",
    )


def _fault(error: Exception) -> str:
    """What is wrong with a token, in words that repeat nothing of it."""
    said = {
        "ExpiredSignatureError": "a token that is expired",
        "ImmatureSignatureError": "a token that is not yet valid",
        "InvalidAudienceError": "a token for another audience",
        "InvalidIssuerError": "a token of another issuer",
        "MissingRequiredClaimError": "a token without exp, iss, aud or sub",
    }
    return said.get(type(error).__name__, "a token that was not signed so")


def unauthenticated(found: str, error: str = "invalid_token") -> Problem:
    """The 401 of a request without a key or token that opens."""
    realm = 'Bearer realm="barista"'
    return Problem(
        "unauthenticated",
        "The request carries no key this service lets in.",
        found,
        "Authorization: Bearer <key>",
        "Make one by `barista keys create`, or use that of BARISTA_API_KEY",
        headers={"WWW-Authenticate": f'{realm}, error="{error}"' if error else realm},
    )
