"""The Compose file is one by the Compose Specification's own schema, and names nothing that is not there."""

import re
import subprocess
import sys

import pytest

from tests.deploy.test_deployment import COMPOSE, DEPLOY, DOCKERFILE

TEXT = (DEPLOY / "compose.yaml").read_text()
SERVICES = COMPOSE["services"]
WAITS = [
    (name, awaited, how["condition"])
    for name, each in SERVICES.items()
    for awaited, how in each.get("depends_on", {}).items()
]
"""Who waits for whom until what."""

SECRET = re.compile(r"PASSWORD|KEY|SECRET|TOKEN|_URL")
INSTRUCTIONS = {
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "ONBUILD", "RUN"),
    *("SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}
"""Source: Dockerfile reference; its MAINTAINER is deprecated."""


def accepted(text, tmp_path):
    """Whether a Compose file is one by the schema, which comes with check-jsonschema."""
    file = tmp_path / "compose.yaml"
    file.write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_is_one_by_the_schema(tmp_path):
    """Keys, types and conditions are those of the specification, with none that it does not know."""
    fine, said = accepted(TEXT, tmp_path)
    assert fine, said


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("read_only: true", "readonly: true"),
        ("service_healthy", "service_heathly"),
        ("retries: 20", "retries: [20]"),
        ("stop_grace_period:", "grace_period:"),
        ("\nvolumes:\n", "\nvolume:\n"),
    ],
    ids=["key", "condition", "type", "key of a service", "top"],
)
def test_the_schema_is_strict(tmp_path, right, wrong):
    """A key or value that Compose does not know is refused."""
    fine, said = accepted(TEXT.replace(right, wrong), tmp_path)
    assert (fine, "validation errors" in said) == (False, True)


@pytest.mark.parametrize(("name", "awaited", "until"), WAITS, ids=lambda each: each)
def test_what_is_waited_for_can_come(name, awaited, until):
    """Who is awaited healthy has a health check, who is awaited done is not started again after it ended well."""
    checks = "healthcheck" in SERVICES[awaited] or ("build" in SERVICES[awaited] and "\nHEALTHCHECK " in DOCKERFILE)
    ends = SERVICES[awaited].get("restart", "no") in {"no", "on-failure"}
    assert {"service_healthy": checks, "service_completed_successfully": ends, "service_started": True}[until]


def test_every_volume_is_declared_and_used():
    """Named volumes that are mounted stand below `volumes`, and no others."""
    mounts = [each for service in SERVICES.values() for each in service["volumes"]]
    named = {each.partition(":")[0] for each in mounts if re.match(r"\w", each)}
    assert named == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", list(SERVICES))
def test_secrets_come_from_the_operators_shell(name):
    """Each password, key and address with one is taken from a variable that must be set."""
    given = {key: value for key, value in SERVICES[name]["environment"].items() if SECRET.search(key)}
    open_ones = [key for key, value in given.items() if "${" in value and ":?" not in value]
    bare = [key for key, value in given.items() if "${" not in value]
    assert (open_ones, bare) == ([], [])


def test_the_dockerfile_has_instructions_of_docker_alone():
    """Each line begins with one, and what is copied from a stage comes from one that was made before."""
    lines = [line for line in re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).splitlines() if line.strip()]
    stages = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
    copied = re.findall(r"^COPY --from=(\S+) ", DOCKERFILE, re.MULTILINE)
    assert ({line.split()[0] for line in lines} - INSTRUCTIONS, set(copied) - set(stages)) == (set(), set())
