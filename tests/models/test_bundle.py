"""A bundle is what was written, or it is refused."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.errors import BundleError
from recsys.models.bundle import BundleContent, Part, read_bundle, write_bundle
from recsys.models.calibration import Isotonic, Platt
from recsys.models.forest import Forest
from recsys.models.intervals import IntervalBins
from recsys.models.linear import Linear
from recsys.models.spec import FeatureSpec
from tests.models.forests import random_model

SPEC = FeatureSpec(("f0", "f1", "f2"), 28, "customer-1")
KEY = b"secret"


def content(**changed) -> BundleContent:
    """A bundle of every kind of content."""
    parts = {
        "spend": Part(Forest.from_text(random_model(1, 5, 12, 3)[0]), "exp", 0.5),
        "orders": Part(Linear.of(SPEC.names, {"f1": 0.1}, 0.3)),
    }
    whole = BundleContent(
        name="value",
        spec=SPEC,
        parts=parts,
        calibrations={"new": Isotonic(np.array([0.0, 1.0]), np.array([0.1, 1 / 3])), "repeat": Platt(0.7, -0.1)},
        intervals={"spend": IntervalBins(np.array([1.0, 2.0]), np.array([0.0, 0.1]), np.array([3.0, 1e5]), 0.8)},
        facts={"item_level": "product", "ü": [1, None]},
        metrics={"mae": 0.1},
    )
    return replace(whole, **changed)


@pytest.fixture
def written(tmp_path):
    """A signed bundle on disk."""
    write_bundle(tmp_path / "bundle", content(), KEY)
    return tmp_path / "bundle"


def test_a_bundle_read_back_is_the_bundle_written(written, tmp_path):
    """Read and written again, it has the same digest: nothing was lost."""
    bundle = read_bundle(written, KEY)

    assert write_bundle(tmp_path / "again", bundle.content, KEY) == bundle.digest


def test_link_and_scale_come_back(written):
    """A part means the same after reading."""
    parts = read_bundle(written).content.parts

    assert [(parts[name].link, parts[name].scale) for name in ("spend", "orders")] == [("exp", 0.5), ("identity", 1.0)]


def test_equal_content_gives_equal_bytes(written, tmp_path):
    """Neither time nor place of writing is in a bundle."""
    write_bundle(tmp_path / "elsewhere", content(), KEY)

    files = [{path.name: path.read_bytes() for path in where.iterdir()} for where in (written, tmp_path / "elsewhere")]

    assert files[0] == files[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "churn"},
        {"spec": replace(SPEC, horizon_days=29)},
        {"parts": {"spend": content().parts["spend"]}},
        {"parts": {**content().parts, "orders": Part(content().parts["orders"].scorer, "exp")}},
        {"calibrations": {}},
        {"intervals": {}},
        {"facts": {}},
        {"metrics": {"mae": 0.2}},
        {"libraries": {}},
    ],
)
def test_any_change_changes_the_digest(changed, written, tmp_path):
    """The digest stands for all of the content."""
    assert write_bundle(tmp_path / "changed", content(**changed)) != read_bundle(written).digest


def test_writing_the_same_again_changes_nothing(written):
    """A second write of the same content to the same place is harmless."""
    assert write_bundle(written, content(), KEY) == read_bundle(written).digest


def test_a_bundle_is_never_overwritten(written):
    """Other content does not replace a version."""
    with pytest.raises(BundleError, match="never overwritten"):
        write_bundle(written, content(metrics={}), KEY)


def test_a_failed_write_leaves_nothing(tmp_path):
    """Facts that are no JSON leave no directory behind."""
    with pytest.raises(BundleError, match="no JSON"):
        write_bundle(tmp_path / "bundle", content(facts={"x": float("nan")}))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", [b"another", b""])
def test_another_key_is_refused(written, key):
    """A bundle signed with another key does not open."""
    with pytest.raises(BundleError, match="not signed"):
        read_bundle(written, key)


def test_an_unsigned_bundle_is_refused_where_a_key_is_set(tmp_path):
    """With a key set, a signature is required."""
    write_bundle(tmp_path / "bundle", content())

    with pytest.raises(BundleError, match="no signature"):
        read_bundle(tmp_path / "bundle", KEY)


def names() -> list[str]:
    """Files of the bundle."""
    return [
        "calibrations.json", "golden.npy", "golden_orders.npy", "golden_spend.npy", "intervals.json", "manifest.json",
        "orders.json", "spend.txt",
    ]  # fmt: skip


def test_the_files_are_those_documented(written):
    """A bundle holds exactly these files."""
    assert sorted(path.name for path in written.iterdir()) == names()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(names()), place=st.integers(0, 10**9), flip=st.integers(1, 255))
def test_one_changed_byte_anywhere_is_refused(written, name, place, flip):
    """Whatever byte of whatever file changes, the bundle does not open (but for spaces between JSON tokens)."""
    path = written / name
    sound = path.read_bytes()
    at = place % len(sound)
    damaged = sound[:at] + bytes([sound[at] ^ flip]) + sound[at + 1 :]
    path.write_bytes(damaged)
    try:
        refused = name == "manifest.json" and _same_json(sound, damaged)
        read_bundle(written, KEY)
    except BundleError:
        refused = True
    finally:
        path.write_bytes(sound)

    assert refused


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("name", names())
def test_a_missing_file_is_named(written, name):
    """The message names the file that is missing."""
    (written / name).unlink()

    with pytest.raises(BundleError, match=name):
        read_bundle(written)


def test_a_file_too_many_is_named(written):
    """Nothing unlisted may lie in a bundle."""
    (written / "extra.pkl").write_bytes(b"x")

    with pytest.raises(BundleError, match=r"extra\.pkl"):
        read_bundle(written)


def test_a_link_is_refused(written, tmp_path):
    """Even a link to the right bytes is refused."""
    (written / "spend.txt").rename(tmp_path / "spend.txt")
    (written / "spend.txt").symlink_to(tmp_path / "spend.txt")

    with pytest.raises(BundleError, match=r"spend\.txt is no plain file"):
        read_bundle(written)


def test_a_pipe_is_refused(written):
    """A named pipe would block the reader for ever."""
    (written / "spend.txt").unlink()
    os.mkfifo(written / "spend.txt")

    with pytest.raises(BundleError, match="no plain file"):
        read_bundle(written)


def test_a_linked_directory_is_refused(written, tmp_path):
    """The bundle itself is no link."""
    (tmp_path / "link").symlink_to(written)

    with pytest.raises(BundleError, match="not a link"):
        read_bundle(tmp_path / "link")


def test_too_large_a_file_is_refused(written, monkeypatch):
    """A bundle beyond the bound is not read into memory."""
    monkeypatch.setattr("recsys.models.bundle_files.MAX_BYTES", 1000)

    with pytest.raises(BundleError, match="too large"):
        read_bundle(written)


def forge(directory, **changed):
    """Change the manifest and make its digest right again, as one without the key could."""
    import hashlib

    from recsys.models.spec import canonical_json

    manifest = json.loads((directory / "manifest.json").read_text())
    manifest.update(changed)
    kept = {name: value for name, value in manifest.items() if name not in {"digest", "signature"}}
    manifest["digest"] = hashlib.sha256(canonical_json(kept).encode()).hexdigest()
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_a_forged_manifest_is_refused_by_its_signature(written):
    """A right digest without the key is not enough."""
    forge(written, facts={"item_level": "brand"})

    with pytest.raises(BundleError, match="not signed"):
        read_bundle(written, KEY)


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"name": "weather"},
        {"parts": {}},
        {"parts": []},
        {"parts": {"spend": {}}},
        {"parts": {"spend": {"file": "../../etc/passwd", "link": "exp", "scale": 1}}},
        {"parts": {"spend": {"file": "spend.txt", "link": "eval", "scale": 1}}},
        {"parts": {"spend": {"file": "golden.npy", "link": "exp", "scale": 1}}},
        {"files": {}},
        {"files": None},
        {"feature_spec": None},
        {"feature_spec": {"names": ["f0"], "horizon_days": 28, "family": "customer-1"}},
        {"feature_spec": {"names": ["f0", "f1", "f2"], "horizon_days": 30, "family": "a", "fingerprint": "00"}},
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(written, changed):
    """Every field is checked, not only its digest."""
    forge(written, **changed)

    with pytest.raises(BundleError):
        read_bundle(written)


def test_another_score_of_the_golden_rows_is_refused(written):
    """A bundle that scores differently here, by one bit in one row, does not open."""
    import hashlib

    expected = np.load(written / "golden_spend.npy")
    expected[3] = np.nextafter(expected[3], np.inf)
    np.save(written / "golden_spend.npy", expected)
    files = json.loads((written / "manifest.json").read_text())["files"]
    digest = hashlib.sha256((written / "golden_spend.npy").read_bytes()).hexdigest()
    forge(written, files={**files, "golden_spend.npy": digest})

    with pytest.raises(BundleError, match="Golden rows of part spend"):
        read_bundle(written)


def test_a_part_on_other_features_is_refused(tmp_path):
    """Scorer and spec must name the same columns in the same order."""
    with pytest.raises(BundleError, match="another order"):
        write_bundle(tmp_path / "b", content(spec=replace(SPEC, names=("f1", "f0", "f2"))))


def test_the_fingerprint_is_the_digest_of_the_canonical_json():
    """The fingerprint can be recomputed by anyone with SHA-256."""
    import hashlib

    text = '{"family":"customer-1","horizon_days":28,"names":["f0","f1","f2"]}'

    assert SPEC.fingerprint() == hashlib.sha256(text.encode()).hexdigest()


def test_nothing_here_is_no_bundle(tmp_path):
    """A directory that is not there is said so."""
    with pytest.raises(BundleError, match="can't be read"):
        read_bundle(tmp_path / "nowhere")
