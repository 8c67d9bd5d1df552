"""What is deployed is what there is: schemas, routes, commands, settings, and nothing that needs rights."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import typer
import yaml

import recsys
from recsys.cli.app import build_app
from recsys.settings import Settings
from serving.workers import GRACE
from tests.docs.generating import ROOT
from tests.docs.http_parts import known_operations

DEPLOY = ROOT / "deploy"
KUBERNETES = "1.33"
"""Version whose schemas the manifests are held against, strictly: unknown keys are faults."""

MANIFESTS = [
    each for file in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for each in yaml.safe_load_all(file.read_text())
]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = [name for name, service in COMPOSE["services"].items() if "postgres" not in service["image"]]
DOCKERFILE = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
IMAGE = f"barista:{recsys.__version__}"


def of_kind(kind):
    """The manifests of a kind."""
    return [each for each in MANIFESTS if each["kind"] == kind]


def pod_of(manifest):
    """The pod template of a workload."""
    spec = manifest["spec"]
    return spec["jobTemplate"]["spec"]["template"] if manifest["kind"] == "CronJob" else spec["template"]


WORKLOADS = [each for kind in ("Deployment", "Job", "CronJob") for each in of_kind(kind)]
PODS = [pod_of(each) for each in WORKLOADS]
CONTAINERS = [each for pod in PODS for each in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])]
DEPLOYMENT = of_kind("Deployment")[0]
SERVICE = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]
SERVICE_USER = DEPLOYMENT["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
LABELS = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_every_manifest_is_one_by_kubernetes_schema(manifest):
    """Kinds, keys and types are those of the version, with none that it does not know."""
    assert kubernetes_validate.validate(manifest, KUBERNETES, strict=True) is not None


def test_what_a_deployment_needs_is_there():
    """Service, disruption budget, migration, nights, settings, network policy, a claim for the workspace."""
    needed = {"Deployment", "Service", "PodDisruptionBudget", "Job", "CronJob", "ConfigMap", "NetworkPolicy"}
    assert needed <= {each["kind"] for each in MANIFESTS}


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod["metadata"]["labels"]["app.kubernetes.io/component"])
def test_pods_run_as_nobody_special(pod):
    """Not root, the system calls a runtime allows by default, no token of the cluster."""
    context = pod["spec"]["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"] > 0, context["seccompProfile"]["type"]) == (
        True,
        True,
        "RuntimeDefault",
    )
    assert pod["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda each: each["name"])
def test_containers_can_write_nothing_but_what_is_mounted(container):
    """Read-only root, no rights to gain, none kept; what Barista writes to is mounted; memory has a limit."""
    expected = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == expected
    assert {"/workspace", "/cache", "/tmp"} <= {each["mountPath"] for each in container["volumeMounts"]}
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod["metadata"]["labels"]["app.kubernetes.io/component"])
def test_mounts_and_settings_are_declared(pod):
    """Every mount has its volume, and every source of settings a name."""
    volumes = {each["name"] for each in pod["spec"]["volumes"]}
    containers = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    assert {mount["name"] for each in containers for mount in each["volumeMounts"]} == volumes
    sources = [source for each in containers for source in each["envFrom"]]
    assert {name["name"] for source in sources for name in source.values()} == {
        of_kind("ConfigMap")[0]["metadata"]["name"]
    }


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probes_ask_routes_that_exist_and_need_no_key(probe):
    """Each probe names a public GET of the document, on a port of the container."""
    asked = SERVICE[probe]["httpGet"]
    public = {operation.path for operation in known_operations() if operation.public and operation.method == "GET"}
    assert (asked["path"] in public, asked["port"]) == (True, SERVICE["ports"][0]["name"])


def test_a_service_that_is_not_ready_is_not_killed():
    """Readiness asks whether it can answer; being alive asks for less."""
    assert (SERVICE["readinessProbe"]["httpGet"]["path"], SERVICE["livenessProbe"]["httpGet"]["path"]) == (
        "/health/ready",
        "/health/live",
    )


def test_requests_in_flight_are_finished():
    """The time to end covers the pause before the signal and the service's own grace."""
    pause = float(SERVICE["lifecycle"]["preStop"]["exec"]["command"][1])
    assert DEPLOYMENT["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= pause + GRACE + 5
    assert float(COMPOSE["services"]["service"]["stop_grace_period"].rstrip("s")) >= GRACE + 5


def test_selectors_find_the_service():
    """Service and budget select the deployment's pods, the policy all of ours; the budget leaves one that may go."""
    service, budget, policy = (of_kind(kind)[0]["spec"] for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"))
    assert service["selector"].items() <= LABELS.items()
    assert budget["selector"]["matchLabels"].items() <= LABELS.items()
    assert all(policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items() for pod in PODS)
    assert budget["minAvailable"] < DEPLOYMENT["spec"]["replicas"]


def test_the_network_is_closed_both_ways():
    """What is not named is neither let in nor out, and nobody is let in from everywhere."""
    policy = of_kind("NetworkPolicy")[0]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert all(rule.get("from") for rule in policy["ingress"])


def commands():
    """Every command line that is deployed, with where it stands."""
    yield from ((each["name"], each["args"]) for each in CONTAINERS)
    for name in OURS:
        line = COMPOSE["services"][name]["command"]
        if COMPOSE["services"][name].get("entrypoint", ["sh"])[0] == "sh":
            whole = (
                [shlex.split(part)[1:] for part in line[0].split("&&")] if len(line) == 1 and " " in line[0] else [line]
            )
            yield from ((f"compose {name}", each) for each in whole)
    yield "image", re.findall(r'"(\w+)"', re.findall(r"^CMD (\[.*\])", DOCKERFILE, re.MULTILINE)[-1])


COMMANDS = list(commands())


@pytest.mark.parametrize(
    ("place", "line"), COMMANDS, ids=lambda each: each if isinstance(each, str) else "-".join(each[:2])
)
def test_commands_and_their_options_exist(place, line):
    """`barista` has each command that is run, with each option it is given."""
    command = typer.main.get_command(build_app()).commands[line[0]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in line[1:] if word.startswith("--")} <= known


def test_a_night_imports_trains_and_scores_in_this_order():
    """Both deployments run the same night."""
    pod = pod_of(of_kind("CronJob")[0])["spec"]
    kubernetes = [each["args"][0] for each in (*pod["initContainers"], *pod["containers"])]
    compose = [line[0] for place, line in COMMANDS if place == "compose night"]
    assert kubernetes == compose == ["import", "train", "score"]


def variables():
    """Variables our processes are given, by place."""
    yield "config", set(of_kind("ConfigMap")[0]["data"])
    yield "compose", {name for each in OURS for name in COMPOSE["services"][each]["environment"]} - {"HOME"}
    yield "image", set(re.findall(r"\b((?:BARISTA|MLFLOW)_\w+)=", DOCKERFILE))


OTHERS = {"MLFLOW_DISABLE_TELEMETRY"}
"""Read by a library, not by us."""


def names(*, secret: bool | None = None):
    """Environment variables of the settings; only those that are secret or those that are not, when asked."""
    for name, field in Settings.model_fields.items():
        if secret is None or ("Secret" in str(field.annotation)) == secret:
            yield from getattr(field.validation_alias, "choices", [f"BARISTA_{name.upper()}"])


@pytest.mark.parametrize(("place", "given"), list(variables()), ids=lambda each: each if isinstance(each, str) else "")
def test_every_variable_is_a_setting(place, given):
    """No variable is misspelt or was renamed since."""
    assert given - set(names()) - OTHERS == set()


def test_no_secret_stands_in_a_file():
    """Passwords and keys come from a Secret or from the operator's shell, which must have them."""
    environment = COMPOSE["x-barista"]["environment"]
    secret = set(names(secret=True))
    assert secret & set(of_kind("ConfigMap")[0]["data"]) == set()
    assert [name for name in secret & set(environment) if ":?" not in environment[name]] == []
    assert of_kind("Secret") == []


@pytest.mark.parametrize("name", OURS)
def test_composed_services_have_no_rights_either(name):
    """As in the cluster: not root, read-only root, nothing kept, nothing to gain."""
    service = COMPOSE["services"][name]
    assert (service["user"], service["read_only"], service["cap_drop"]) == ("10001:10001", True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_composed_ports_are_this_machines():
    """Nothing is published beyond loopback by default."""
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_service_waits_for_its_tables():
    """The migration has ended before the service starts, and the database answers before the migration."""
    services = COMPOSE["services"]
    assert services["service"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_images_are_pinned():
    """Every image has a version, ours that of the program."""
    ours = {each["image"] for each in (*CONTAINERS, *(COMPOSE["services"][name] for name in OURS))}
    others = [*re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE), COMPOSE["services"]["postgres"]["image"]]
    assert ours == {IMAGE}
    assert [image for image in others if not re.fullmatch(r"[a-z/]+:\d[\w.-]*", image)] == []


def test_the_image_runs_as_a_number_that_is_not_root_and_has_no_compiler():
    """Kubernetes can tell a number from root; only the first stage is where things are made."""
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.findall(r"^USER (\S+)", final, re.MULTILINE)[-1]
    assert user == f"{SERVICE_USER}:{SERVICE_USER}"
    assert (
        re.findall(r"\b(gcc|g\+\+|build-essential|clang|make|pip|curl|git)\b", re.sub(r"^#.*$", "", final, flags=re.M))
        == []
    )


def test_what_the_image_copies_is_there_and_let_through():
    """Every source of COPY exists, and the ignore file lets it through and nothing secret."""
    sources = re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", DOCKERFILE, re.MULTILINE)
    named = {name for line in sources for name in line.split()}
    allowed = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert ([name for name in named if not (ROOT / name).exists()], named) == ([], allowed)


def test_the_image_installs_by_hash_alone():
    """Nothing unpinned is fetched, and nothing is built from source."""
    installs = re.findall(r"^RUN .*pip install (.*)$", DOCKERFILE, re.MULTILINE)
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--only-binary :all:" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]


@pytest.mark.parametrize("full", [False, True])
def test_the_start_fills_an_empty_cache_and_becomes_barista(tmp_path: Path, full: bool):
    """Compiled kernels are copied once; arguments reach `barista` as they are."""
    kernels, cache, program = tmp_path / "kernels", tmp_path / "cache", tmp_path / "bin" / "barista"
    for folder in (kernels / "a", cache, program.parent):
        folder.mkdir(parents=True)
    (kernels / "a" / "kernel.nbi").write_text("new")
    if full:
        (cache / "own").write_text("old")
    program.write_text('#!/bin/sh\nfor each in "$@"; do echo "$each"; done\n')
    program.chmod(0o755)
    script = (DEPLOY / "start").read_text().replace("/opt/barista/kernels", str(kernels))
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        ["sh", "-c", script, "start", "serve", "two words"], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, (cache / "a" / "kernel.nbi").exists()) == ("serve\ntwo words\n", not full)


def test_the_kernels_of_the_image_are_compiled_by_answering():
    """What the image runs to fill its cache works from an empty folder."""
    namespace = {"__name__": "warm"}
    exec(compile((DEPLOY / "warm.py").read_text(), "warm.py", "exec"), namespace)
    assert namespace["main"]() is None
