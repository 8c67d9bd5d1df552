"""`make sbom`, run as it stands in the Makefile: the list says what the lock file locks, and is CycloneDX."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.deploy.test_supply import LOCK, normal
from tests.docs.generating import ROOT

TOOLS = Path(sys.executable).parent
BLOCK = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[^\n]*\n((?: +--hash=sha256:[0-9a-f]{64}[^\n]*\n?)+)", re.MULTILINE)


def made(place: Path) -> str:
    """What `make sbom` writes with the tools of this environment, which are not to be installed first."""
    file = place / "sbom.cdx.json"
    command = ["make", "-o", f"{TOOLS}/uv", "sbom", f"TOOLS={TOOLS}", f"SBOM={file}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> str:
    """The list."""
    return made(tmp_path_factory.mktemp("sbom"))


@pytest.fixture(scope="module")
def bill(text) -> dict:
    """The list, read."""
    return json.loads(text)


def locked() -> dict[str, tuple[str, set[str]]]:
    """Version and hashes of each package of the lock file."""
    blocks = BLOCK.findall(LOCK.read_text(encoding="utf-8"))
    return {normal(name): (version, set(re.findall(r"[0-9a-f]{64}", hashes))) for name, version, hashes in blocks}


def hashes_of(component: dict) -> set[str]:
    """SHA-256 of everything a component may be installed from."""
    places = [component, *component.get("externalReferences", [])]
    return {each["content"] for place in places for each in place.get("hashes", []) if each["alg"] == "SHA-256"}


def test_every_locked_package_is_listed_with_version_and_hashes(bill):
    """No package more, none less, none without what it is checked by."""
    listed = {normal(each["name"]): (each["version"], hashes_of(each)) for each in bill["components"]}
    assert (len(listed), listed) == (len(bill["components"]), locked())


def test_every_listed_package_can_be_looked_up(bill):
    """Scanners find a package by its purl."""
    purls = {each["purl"].partition("?")[0] for each in bill["components"]}
    assert purls == {f"pkg:pypi/{name}@{version}" for name, (version, _) in locked().items()}


def test_the_list_is_of_barista(bill):
    """What it is the list of stands in it, by the name of the project."""
    assert bill["metadata"]["component"]["name"] == "barista"


def test_the_list_is_cyclonedx(text):
    """The schema of the version it says, with nothing in it that the schema does not know."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    assert JsonStrictValidator(version).validate_str(text) is None


def test_the_list_says_nothing_of_the_machine(text, bill):
    """No path of this machine, no index but the public one."""
    addresses = {urlsplit(each["url"]).netloc for one in bill["components"] for each in one["externalReferences"]}
    assert (addresses, str(ROOT) in text) == ({"pypi.org"}, False)


def test_the_same_lock_gives_the_same_list(text, tmp_path):
    """Nobody has to wonder why it changed."""
    assert made(tmp_path) == text
