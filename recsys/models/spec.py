"""What a model's rows are made of."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from recsys.errors import BundleError


def canonical_json(content: Any) -> str:
    """One text for equal content: sorted keys, no spaces, shortest exact numbers, no NaN."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """The columns of X in order, the horizon of the label and the family of kernels that fills them.

    names         columns of X
    horizon_days  the label looks this far past `as_of` [days]
    family        which feature kernels: `offers`, `churn`, `value`, with their version, e.g. `customer-1`
    """

    names: tuple[str, ...]
    horizon_days: int
    family: str

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON: rows of another fingerprint do not fit the model."""
        return hashlib.sha256(canonical_json(asdict(self)).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As stored in a bundle's manifest."""
        return {"names": list(self.names), "horizon_days": self.horizon_days, "family": self.family}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read `to_json()`.

        Raises:
            BundleError: a field is missing or of another type.
        """
        try:
            names, horizon, family = stored["names"], stored["horizon_days"], stored["family"]
        except (KeyError, TypeError) as error:
            raise BundleError("The feature spec is damaged", found=str(error)) from error
        sound = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not sound or not isinstance(horizon, int) or not isinstance(family, str):
            raise BundleError("The feature spec is damaged", found=stored, expected="names, horizon_days, family")
        return cls(tuple(names), horizon, family)
