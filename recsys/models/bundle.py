"""A model version as a directory of text, numbers and a manifest: data, never code.

    manifest.json      format, name, kind, feature spec, parts, facts, metrics, libraries, SHA-256 per file, digest
    <part>.txt|.json   a scorer as LightGBM text or as linear JSON
    calibrations.json  from raw score to probability
    intervals.json     from prediction to low and high
    golden.npy         synthetic feature rows; golden_<part>.npy the raw scores they must give, bit for bit

The digest is the SHA-256 of the manifest, which names every file's: same content, same digest. No row of a real
customer is in a bundle and nothing in it is ever executed or unpickled.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recsys.errors import BundleError, DamagedBundle, UnequalScores, UnknownFormat, UnsignedBundle, WrongModel
from recsys.models.bundle_files import Files, bits, from_npy, read_files, to_npy, write_files
from recsys.models.calibration import Calibration, calibration_from_json
from recsys.models.golden import golden_rows
from recsys.models.intervals import IntervalBins
from recsys.models.links import CODES
from recsys.models.scorers import Scorer, load_scorer
from recsys.models.spec import FeatureSpec, canonical_json

FORMAT = 1
"""Version of the bundle's layout; another one is refused."""

NAMES = ("offers", "churn", "value")
"""What a bundle can be."""


def library_versions() -> dict[str, str]:
    """Versions of the libraries a model's numbers come from; nothing is imported."""
    versions = {}
    for library in ("lightgbm", "numba", "numpy", "scikit-learn"):
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True, slots=True)
class Part:
    """One scorer and what its raw score means: scale · link(raw), times the feature `offset`^`power` where named.

    With an offset the scorer learned a correction to what another model expects; a power below 1 says that only this
    share of the score did (a blend of forests, see `training.trees.blended`).
    """

    scorer: Scorer
    link: str = "identity"
    scale: float = 1.0
    offset: str = ""
    power: float = 1.0

    @property
    def suffix(self) -> str:
        """`txt` for LightGBM text, `json` for a linear scorer."""
        return "txt" if self.scorer.kind == "lightgbm" else "json"


@dataclass(frozen=True, slots=True)
class BundleContent:
    """What a model version consists of.

    name          `offers`, `churn` or `value`
    spec          columns of the feature rows, horizon
    parts         scorers by name
    calibrations  by name; what the name means is the model's own
    intervals     by part
    facts         JSON: what serving must know (item level, training as_of …)
    metrics       JSON: what was measured on validation data
    libraries     versions the numbers come from
    """

    name: str
    spec: FeatureSpec
    parts: Mapping[str, Part]
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    intervals: Mapping[str, IntervalBins] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=library_versions)

    @property
    def kind(self) -> str:
        """`linear` for a baseline, `lightgbm` as soon as one part is a forest."""
        return "linear" if all(part.scorer.kind == "linear" for part in self.parts.values()) else "lightgbm"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle read back and verified; `signed` says that its signature was checked against a key."""

    content: BundleContent
    digest: str
    signed: bool


def write_bundle(directory: Path, content: BundleContent, key: bytes | None = None) -> str:
    """Write `content` to `directory`, whole or not at all, and return its digest; signed if there is a key.

    The same content already there is left as it is.

    Raises:
        BundleError: the content contradicts itself, or the directory holds something else.
    """
    _check_content(content)
    files = _to_files(content)
    try:
        manifest = json.loads(canonical_json(_manifest(content, files)))
    except (TypeError, ValueError) as error:
        raise BundleError(f"Facts or metrics of the bundle are no JSON: {error}") from error
    digest = hashlib.sha256(canonical_json(manifest).encode()).hexdigest()
    manifest["digest"] = digest
    if key is not None:
        manifest["signature"] = _signature(digest, key)
    files["manifest.json"] = json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False).encode()
    write_files(directory, files)
    return digest


def read_bundle(directory: Path, key: bytes | None = None) -> Bundle:
    """Read and verify the bundle in `directory`.

    Verified: no links, no file too many, missing, too large or changed; format; digest; signature, if there is a key;
    feature fingerprint; golden rows, recomputed bit for bit.

    Raises:
        BundleError: any of that fails; the message names the file, what was found and what was expected.
        UnsupportedModel: a LightGBM model the kernel does not evaluate.
    """
    files = read_files(directory)
    manifest = _checked_manifest(files, key)
    try:
        content = _from_files(manifest, files)
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError("manifest.json lacks a field", found=f"{type(error).__name__}: {error}") from error
    _check_content(content)
    _check_golden(content, files)
    return Bundle(content, manifest["digest"], key is not None)


def verify_bundle(directory: Path, key: bytes | None = None) -> str:
    """Digest of the bundle in `directory`, after every byte was compared with it; no model is opened.

    Raises:
        BundleError: as `read_bundle`, but for what only opening the model can tell.
    """
    return str(_checked_manifest(read_files(directory), key)["digest"])


def _check_content(content: BundleContent) -> None:
    """What both writer and reader insist on."""
    if content.name not in NAMES or not content.parts:
        raise BundleError("No such bundle", found=content.name, expected=f"one of {NAMES}, with parts")
    for name, part in content.parts.items():
        if part.link not in CODES:
            raise BundleError(f"Link of part {name}", found=part.link, expected=f"one of {sorted(CODES)}")
        if part.offset and part.offset not in content.spec.names:
            raise BundleError(f"Offset of part {name}", found=part.offset, expected="a feature of the spec")
        if part.scorer.feature_names != content.spec.names:
            strange = set(part.scorer.feature_names) ^ set(content.spec.names)
            raise WrongModel(
                f"Part {name} reads other features than the spec names",
                found=sorted(strange) or "another order",
                expected="the spec's names in order",
            )


def _to_files(content: BundleContent) -> Files:
    files = {f"{name}.{part.suffix}": part.scorer.to_text().encode() for name, part in content.parts.items()}
    curves = {name: curve.to_json() for name, curve in content.calibrations.items()}
    bins = {name: table.to_json() for name, table in content.intervals.items()}
    files["calibrations.json"] = canonical_json(curves).encode()
    files["intervals.json"] = canonical_json(bins).encode()
    rows = golden_rows(content.spec, [part.scorer for part in content.parts.values()])
    files["golden.npy"] = to_npy(rows)
    for name, part in content.parts.items():
        files[f"golden_{name}.npy"] = to_npy(part.scorer.raw(rows))
    return files


def _manifest(content: BundleContent, files: Files) -> dict[str, Any]:
    parts = {
        name: {
            "file": f"{name}.{part.suffix}",
            "link": part.link,
            "scale": part.scale,
            "offset": part.offset,
            "power": part.power,
        }
        for name, part in content.parts.items()
    }
    return {
        "format": FORMAT,
        "name": content.name,
        "kind": content.kind,
        "feature_spec": {**content.spec.to_json(), "fingerprint": content.spec.fingerprint()},
        "parts": parts,
        "facts": dict(content.facts),
        "metrics": dict(content.metrics),
        "libraries": dict(content.libraries),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }


def _signature(digest: str, key: bytes) -> str:
    return hmac.new(key, f"barista-bundle-{FORMAT}:{digest}".encode(), hashlib.sha256).hexdigest()


def _json(files: Files, name: str) -> dict[str, Any]:
    try:
        content = json.loads(files[name])
    except (KeyError, ValueError, RecursionError) as error:
        raise DamagedBundle(f"{name} is missing or no JSON ({type(error).__name__}: {error})") from error
    if not isinstance(content, dict):
        raise BundleError(f"{name} is no JSON object", found=type(content).__name__, expected="an object")
    return content


def _checked_manifest(files: Files, key: bytes | None) -> dict[str, Any]:
    """The manifest, after format, digest, signature and the digest of every file were checked."""
    manifest = _json(files, "manifest.json")
    if manifest.get("format") != FORMAT:
        raise UnknownFormat(
            "manifest.json has another format", found=manifest.get("format"), expected=str(FORMAT), cure="Train again"
        )
    signed = {name: value for name, value in manifest.items() if name not in {"digest", "signature"}}
    digest = hashlib.sha256(canonical_json(signed).encode()).hexdigest()
    if manifest.get("digest") != digest:
        raise DamagedBundle("manifest.json was changed: its digest", found=manifest.get("digest"), expected=digest)
    if key is not None and not hmac.compare_digest(
        str(manifest.get("signature", "")).encode(), _signature(digest, key).encode()
    ):
        raise UnsignedBundle(
            "The bundle is not signed with this workspace's key",
            found=manifest.get("signature", "no signature"),
            expected="an HMAC-SHA-256 by the key of the settings",
            cure="Publish it again where the key is set",
        )
    _check_files(manifest.get("files"), files)
    return manifest


def _check_files(digests: Any, files: Files) -> None:
    if not isinstance(digests, dict):
        raise BundleError("manifest.json names no files", found=type(digests).__name__, expected="an object")
    for name in sorted(set(digests) | (set(files) - {"manifest.json"})):
        found = hashlib.sha256(files[name]).hexdigest() if name in files else "no file"
        expected = digests.get(name, "no file")
        if found != expected:
            raise DamagedBundle(f"Bundle file {name} is damaged", found=found, expected=expected, cure="Fetch it again")


def _from_files(manifest: dict[str, Any], files: Files) -> BundleContent:
    stored = dict(manifest["feature_spec"])
    spec = FeatureSpec.from_json(stored)
    if stored.get("fingerprint") != spec.fingerprint():
        raise BundleError("Feature fingerprint", found=stored.get("fingerprint"), expected=spec.fingerprint())
    calibrations = _json(files, "calibrations.json")
    intervals = _json(files, "intervals.json")
    return BundleContent(
        name=manifest["name"],
        spec=spec,
        parts={name: _part(name, part, files) for name, part in manifest["parts"].items()},
        calibrations={name: calibration_from_json(curve) for name, curve in calibrations.items()},
        intervals={name: IntervalBins.from_json(table) for name, table in intervals.items()},
        facts=manifest["facts"],
        metrics=manifest["metrics"],
        libraries=manifest["libraries"],
    )


def _part(name: str, stored: Mapping[str, Any], files: Files) -> Part:
    try:
        text = files[stored["file"]].decode()
        scale, offset, power = float(stored["scale"]), str(stored.get("offset", "")), float(stored.get("power", 1.0))
    except (KeyError, UnicodeDecodeError, ValueError) as error:
        raise BundleError(f"Part {name} can't be read", found=f"{type(error).__name__}: {error}") from error
    return Part(load_scorer(text), stored["link"], scale, offset, power)


def _check_golden(content: BundleContent, files: Files) -> None:
    """The golden rows must give their raw scores here, all at once and one by one, to the last bit."""
    rows = from_npy(files, "golden.npy", "float32", 2)
    for name, part in content.parts.items():
        expected = bits(from_npy(files, f"golden_{name}.npy", "float64", 1))
        together = bits(part.scorer.raw(rows))
        alone = [bits(part.scorer.raw(rows[i : i + 1])) for i in range(len(rows))]
        if together != expected or b"".join(alone) != expected:
            raise UnequalScores(
                f"Golden rows of part {name} give other scores here",
                found=hashlib.sha256(together).hexdigest(),
                expected=hashlib.sha256(expected).hexdigest(),
                cure="Train with the version of Barista that serves",
            )
