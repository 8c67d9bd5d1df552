"""Known vulnerabilities of locked packages, and how many nobody checked: silence of the service is no good news.

`audit.py LOCK -- PIP-AUDIT…` runs pip-audit over the lock file. Exit code 0: all checked, nothing known; 1: something
is known; 2: nothing is known, but not every package was checked.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

OPTIONS = ("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "20")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


class Found(NamedTuple):
    """What was found: pins, those that were checked, vulnerabilities by pin, and why others were not checked."""

    pins: frozenset[str]
    checked: frozenset[str]
    known: dict[str, list[str]]
    why: str

    @property
    def unchecked(self) -> list[str]:
        """Packages nobody looked up."""
        return sorted(self.pins - self.checked)

    @property
    def code(self) -> int:
        """Exit code: what is known counts more than what is not."""
        return 1 if self.known else 2 if self.unchecked else 0


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins_of(text: str) -> frozenset[str]:
    """`name==version` of each package of a lock file."""
    return frozenset(f"{normal(name)}=={version}" for name, version in _PIN.findall(text))


def audit(lock: Path, command: Sequence[str]) -> Found:
    """Run pip-audit over a lock file; an answer that can't be read checked nothing."""
    pins = pins_of(lock.read_text(encoding="utf-8"))
    try:
        done = subprocess.run(
            [*command, "--requirement", str(lock), *OPTIONS], capture_output=True, text=True, check=False, timeout=900
        )
        listed: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return Found(pins, frozenset(), {}, type(error).__name__)
    except (ValueError, KeyError, TypeError):
        return Found(pins, frozenset(), {}, (done.stderr.strip().splitlines() or ["no answer"])[-1][:200])
    named = {f"{normal(each['name'])}=={each.get('version')}": each for each in listed if "vulns" in each}
    known = {pin: [vuln["id"] for vuln in each["vulns"]] for pin, each in named.items() if each["vulns"]}
    skipped = (each["skip_reason"] for each in listed if "skip_reason" in each)
    reasons = sorted({re.sub(r":? \S+ \([^)]*\)$", "", reason) for reason in skipped})
    return Found(pins, pins & set(named), known, "; ".join(reasons))


def told(found: Found) -> str:
    """The result in lines."""
    lines = [f"{pin}: {', '.join(ids)}" for pin, ids in sorted(found.known.items())]
    if found.unchecked:
        lines.append(f"Not checked: {', '.join(found.unchecked)}")
        lines.append(f"Because: {found.why or 'they were not in the answer'}")
    count = f"{len(found.pins)} packages: {len(found.checked)} checked, {len(found.unchecked)} not checked"
    return "\n".join([*lines, f"{count}, {len(found.known)} with known vulnerabilities"])


def main(arguments: list[str]) -> int:
    """Audit and say so."""
    lock, _, *command = arguments
    found = audit(Path(lock), command)
    sys.stdout.write(told(found) + "\n")
    return found.code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
