"""An OAuth2 server's part: key pairs, the public key set in a file, signed tokens."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER, AUDIENCE = "https://login.example", "barista"
PAIRS: dict[str, Any] = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
STRANGER = ec.generate_private_key(ec.SECP256R1())
"""A key that is not in the set."""


def public_key(algorithm: str, pair: Any = None, **more: Any) -> dict[str, Any]:
    """A key of the set, as RFC 7517 writes it."""
    key = jwt.get_algorithm_by_name(algorithm).to_jwk((pair or PAIRS[algorithm]).public_key(), as_dict=True)
    return key | {"kid": algorithm, "alg": algorithm, "use": "sig"} | more


def write_keys(file: Path, *keys: dict[str, Any]) -> Path:
    """The key set as a file; by default one key of each algorithm."""
    file.write_text(json.dumps({"keys": keys or [public_key(name) for name in PAIRS]}))
    return file


def claims(**more: Any) -> dict[str, Any]:
    """What a token in order says; None leaves a claim out."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "till-7", "iat": now, "nbf": now, "exp": now + 600, "scope": "admin"}
    return {name: value for name, value in (said | more).items() if value is not None}


def token(algorithm: str = "ES256", pair: Any = None, headers: dict[str, Any] | None = None, **more: Any) -> str:
    """A signed token."""
    return jwt.encode(claims(**more), pair or PAIRS[algorithm], algorithm, {"kid": algorithm} | (headers or {}))
