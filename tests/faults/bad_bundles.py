"""Twelve kinds of bad bundle, each made from a good one by a seed."""

import hashlib
import hmac
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from recsys.features.customer import CUSTOMER_FEATURES
from recsys.features.pairs import PAIR_FEATURES
from recsys.models.bundle import BundleContent, write_bundle
from recsys.models.bundle_files import MAX_BYTES
from recsys.models.churn import churn_content
from recsys.models.forest import Forest
from recsys.models.offers import offers_content
from recsys.models.spec import FeatureSpec, canonical_json
from recsys.testing.published import CURVE, linear_content
from recsys.testing.serving import HORIZON
from tests.models.forests import random_model

KEY = b"the key of the workspace"


def forest(seed: int, names: tuple[str, ...], trees: int) -> Forest:
    """Random trees over these features in LightGBM's words."""
    text, _ = random_model(seed, trees, 31, len(names))
    return Forest.from_text(re.sub(r"(?m)^feature_names=.*$", "feature_names=" + " ".join(names), text))


def forest_content(seed: int, names: tuple[str, ...] = CUSTOMER_FEATURES, trees: int = 30) -> BundleContent:
    """A churn model of random trees."""
    return churn_content(FeatureSpec(names, HORIZON, "made-up"), forest(seed, names, trees), CURVE, metrics={})


def ranker_content(seed: int, trees: int = 30) -> BundleContent:
    """An offers model of random trees."""
    spec, ranker = FeatureSpec(PAIR_FEATURES, HORIZON, "made-up"), forest(seed, PAIR_FEATURES, trees)
    return offers_content(spec, ranker, new=CURVE, repeat=CURVE, item_level="product", metrics={})


def write_good(directory: Path, seed: int) -> None:
    """A forest bundle of the churn model, signed."""
    write_bundle(directory, forest_content(seed), KEY)


def truncated(directory: Path, random: Random) -> None:
    """A file ends early."""
    path = _some_file(directory, random)
    os.truncate(path, random.randrange(path.stat().st_size))


def flipped(directory: Path, random: Random) -> None:
    """Some bits of a file are the other ones."""
    path = _some_file(directory, random)
    content = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 8)):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def zeroed(directory: Path, random: Random) -> None:
    """A block of 4 KiB is zero, as a lost sector leaves it."""
    path = directory / "churn.txt"
    content = bytearray(path.read_bytes())
    start = random.randrange(max(1, len(content) // 4096)) * 4096
    content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    path.write_bytes(content)


def other_features(directory: Path, random: Random) -> None:
    """In order by itself, but it reads features this service does not compute that way."""
    names = list(CUSTOMER_FEATURES)
    random.shuffle(names)
    _replace(directory, forest_content(random.randrange(1000), tuple(names)))


def nan_leaves(directory: Path, random: Random) -> None:
    """A leaf is no number, and every digest says that this is meant."""
    path = directory / "churn.txt"
    lines = path.read_text().splitlines(keepends=True)
    at = random.choice([i for i, line in enumerate(lines) if line.startswith("leaf_value=")])
    values = lines[at].strip().removeprefix("leaf_value=").split(" ")
    values[random.randrange(len(values))] = "nan"
    lines[at] = f"leaf_value={' '.join(values)}\n"
    path.write_text("".join(lines))
    _sign_again(directory)


def golden_rows_fail(directory: Path, random: Random) -> None:
    """The golden rows are said to give other scores than they do."""
    path = directory / "golden_churn.npy"
    scores = np.load(path)
    at = random.randrange(len(scores))
    scores[at] = np.nextafter(scores[at], np.inf)
    np.save(path, scores)
    _sign_again(directory)


def other_signature(directory: Path, random: Random) -> None:
    """Signed with a key that is not the workspace's."""
    _replace(directory, forest_content(random.randrange(1000)), random.randbytes(16))


def symlink(directory: Path, random: Random) -> None:
    """A file is a link to its content elsewhere."""
    path = _some_file(directory, random)
    elsewhere = directory.with_name(f".elsewhere-{path.name}")
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def oversize(directory: Path, random: Random) -> None:
    """A file is larger than a whole bundle may be (and takes no disk)."""
    os.truncate(_some_file(directory, random), MAX_BYTES + random.randrange(1, 10_000))


def missing_file(directory: Path, random: Random) -> None:
    """A file is not there."""
    _some_file(directory, random).unlink()


def newer_format(directory: Path, random: Random) -> None:
    """Written by a version of Barista that is yet to come."""
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["format"] = random.randint(2, 99)
    (directory / "manifest.json").write_text(json.dumps(manifest))
    _sign_again(directory)


def wrong_model(directory: Path, random: Random) -> None:
    """A good bundle, but of another model."""
    _replace(directory, linear_content(random.choice(["offers", "value"]), random.randrange(1000)))


KINDS: dict[str, tuple[Callable[[Path, Random], None], set[str]]] = {
    "truncated": (truncated, {"DamagedBundle"}),
    "bit flips": (flipped, {"DamagedBundle", "UnknownFormat", "UnsignedBundle", "BundleError"}),
    "4 KiB zeroed": (zeroed, {"DamagedBundle"}),
    "wrong features": (other_features, {"WrongModel"}),
    "NaN leaves": (nan_leaves, {"BundleError"}),
    "golden rows fail": (golden_rows_fail, {"UnequalScores"}),
    "wrong signature": (other_signature, {"UnsignedBundle"}),
    "symlink": (symlink, {"DamagedBundle"}),
    "oversize": (oversize, {"DamagedBundle"}),
    "missing file": (missing_file, {"DamagedBundle"}),
    "newer format": (newer_format, {"UnknownFormat"}),
    "wrong model": (wrong_model, {"WrongModel"}),
}
"""What is done to a good bundle, and the kinds of error that may say so."""


def make_bad(kind: str, directory: Path, seed: int) -> None:
    """A bad bundle of this kind at `directory`."""
    write_good(directory, seed)
    KINDS[kind][0](directory, Random(f"{kind} {seed}"))


def _some_file(directory: Path, random: Random) -> Path:
    return random.choice(sorted(path for path in directory.iterdir() if path.stat().st_size))


def _replace(directory: Path, content: BundleContent, key: bytes = KEY) -> None:
    shutil.rmtree(directory)
    write_bundle(directory, content, key)


def _sign_again(directory: Path) -> None:
    """Digests and signature as someone with the key would make them over what lies there now."""
    path = directory / "manifest.json"
    manifest = {k: v for k, v in json.loads(path.read_text()).items() if k not in {"digest", "signature"}}
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((directory / name).read_bytes()).hexdigest()
    digest = hashlib.sha256(canonical_json(manifest).encode()).hexdigest()
    signature = hmac.new(KEY, f"barista-bundle-1:{digest}".encode(), hashlib.sha256).hexdigest()
    path.write_text(json.dumps(manifest | {"digest": digest, "signature": signature}))
