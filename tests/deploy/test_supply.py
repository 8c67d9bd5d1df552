"""What is installed: locked by hash, audited without false comfort, and no pickle where requests are answered."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.generating import ROOT
from tests.docs.test_house import SOURCES

LOCK = ROOT / "deploy" / "requirements.lock"
AUDIT = ROOT / "deploy" / "audit.py"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\$", re.MULTILINE)


def normal(name):
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text):
    """Versions by package."""
    return {
        normal(name): version for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    }


def test_every_locked_package_has_its_hashes():
    """Nothing can be exchanged on its way; nothing stands in the file but pins and hashes."""
    blocks = re.split(r"\n(?=\S)", re.sub(r"^#.*\n|^ +#.*\n", "", LOCK.read_text(), flags=re.MULTILINE).strip())
    block = re.compile(r"[A-Za-z0-9._-]+==[^\s;]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+")
    assert [each[:60] for each in blocks if not block.fullmatch(each)] == []


def test_the_lock_names_no_index():
    """Where packages were fetched from is nobody's business and true of one machine only."""
    assert re.findall(r"https?://|file:|--(?:extra-)?index-url|--find-links|/home/", LOCK.read_text()) == []


def test_the_lock_is_what_was_tested():
    """Each version is that of constraints.txt, but for what only builds."""
    tested, locked = pins((ROOT / "constraints.txt").read_text()), pins(LOCK.read_text())
    assert {
        name: version for name, version in locked.items() if tested.get(name) != version and name != "setuptools"
    } == {}


def test_the_lock_holds_all_that_is_needed():
    """Every dependency of the program, of its tokens and of its traces is locked."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["oauth"], *extras["otel"]]
    named = {normal(re.match(r"[A-Za-z0-9._-]+", each)[0]) for each in needed}
    assert named - set(pins(LOCK.read_text())) == set()


def audited(tmp_path: Path, answer: str, code: int = 0) -> tuple[int, str]:
    """Exit code and last line of an audit of three packages by a pip-audit that answers so."""
    lock, fake = tmp_path / "requirements.lock", tmp_path / "fake.py"
    lock.write_text(
        "a-b==1.0 \\\n    --hash=sha256:00\nc==2.0 ; python_version > '3' \\\n    --hash=sha256:00\nD_e==3.0\n"
    )
    fake.write_text(f"import sys\nprint({answer!r})\nprint('no network', file=sys.stderr)\nsys.exit({code})\n")
    command = [sys.executable, str(AUDIT), str(lock), "--", sys.executable, str(fake)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def listed(*dependencies: dict) -> str:
    """An answer of pip-audit."""
    return json.dumps({"dependencies": list(dependencies), "fixes": []})


A, C, D = (
    {"name": name, "version": version, "vulns": []} for name, version in (("a_b", "1.0"), ("c", "2.0"), ("d-e", "3.0"))
)
SKIPPED = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (2.0)"}
BAD = D | {"vulns": [{"id": "CVE-1", "fix_versions": []}]}
ANSWERS = {
    "all checked": (listed(A, C, D), 0, 0, "3 packages: 3 checked, 0 not checked, 0 with known"),
    "one skipped": (listed(A, SKIPPED, D), 0, 2, "3 packages: 2 checked, 1 not checked, 0 with known"),
    "one not mentioned": (listed(A, D), 0, 2, "3 packages: 2 checked, 1 not checked, 0 with known"),
    "another version checked": (listed(A, C | {"version": "1.9"}, D), 0, 2, "2 checked, 1 not checked"),
    "nothing said, and content": ("", 0, 2, "3 packages: 0 checked, 3 not checked, 0 with known"),
    "the service away": ("", 1, 2, "3 packages: 0 checked, 3 not checked, 0 with known"),
    "an odd answer": ("[]", 0, 2, "0 checked, 3 not checked"),
    "one known, one skipped": (listed(A, SKIPPED, BAD), 1, 1, "2 checked, 1 not checked, 1 with known"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_audit_is_green_only_when_everything_was_checked(tmp_path, case):
    """What nobody looked up is counted and fails the audit, whatever pip-audit's own exit code says."""
    answer, code, expected, said = ANSWERS[case]
    found, text = audited(tmp_path, answer, code)
    assert (found, said in text) == (expected, True), text


def test_what_was_not_checked_is_named_with_the_reason(tmp_path):
    """The packages and why, each reason once."""
    _, text = audited(tmp_path, listed(A, SKIPPED, D))
    assert "Not checked: c==2.0\nBecause: Dependency not found on PyPI and could not be audited\n" in text


PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle", "skops"}


def test_our_code_never_unpickles():
    """No module imports a library that runs what it reads, `numpy.load` is told not to, and frames read no pickles."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found += [f"{path.name}:{node.lineno} {fault}" for fault in faults(node)]
    assert found == []


def faults(node: ast.AST) -> list[str]:
    """What a piece of syntax has to do with pickles."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names if each.name.partition(".")[0] in PICKLES]
    if isinstance(node, ast.ImportFrom):
        return [node.module] if (node.module or "").partition(".")[0] in PICKLES else []
    if not isinstance(node, ast.Call):
        return []
    name = ast.unparse(node.func)
    allowed = {each.arg: ast.unparse(each.value) for each in node.keywords}.get("allow_pickle")
    loads = name in {"np.load", "numpy.load"} and allowed != "False"
    unsafe = (
        name in {"pd.read_pickle", "torch.load", "yaml.load", "eval", "exec", "__import__"} or "read_pickle" in name
    )
    return [name] if loads or allowed == "True" or unsafe else []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "pd.read_pickle(f)",
        "eval(x)",
    ],
)
def test_a_pickle_would_be_noticed(code):
    """The search finds each way in."""
    assert [fault for node in ast.walk(ast.parse(code)) for fault in faults(node)] != []


def test_answering_unpickles_nothing(tmp_path):
    """From opening a workspace to answers and kept records no unpickler is ever made.

    numba's cache is the one exception: its index is a pickle beside the machine code it runs, written by this user.
    """
    code = f"""
import sys, _pickle, pickle
places = []
def noticed(real):
    def loads(*arguments, **options):
        frame = sys._getframe(1)
        while frame and frame.f_code.co_filename.endswith(("pickle.py", "copyreg.py")):
            frame = frame.f_back
        places.append(frame.f_code.co_filename)
        return real(*arguments, **options)
    return loads
for name in ("loads", "load"):
    setattr(pickle, name, noticed(getattr(_pickle, name)))
class Unpickler(_pickle.Unpickler):
    def __init__(self, *arguments, **options):
        places.append(sys._getframe(1).f_code.co_filename)
        super().__init__(*arguments, **options)
pickle.Unpickler = Unpickler
from pathlib import Path
from recsys.logs import configure_logs
configure_logs("error")
from tests.contracts.malformed import call, seeds, small_state
from serving.http.app import create_app
import asyncio
app = create_app(small_state(Path({str(tmp_path / "workspace")!r})))
async def ask():
    async with app.router.lifespan_context(app):
        return [(await call(app, sent)).status for sent in seeds(1)]
print(asyncio.run(ask()))
print(sorted({{place for place in places if "numba" not in place}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    answers, places = done.stdout.splitlines()[-2:]
    assert (answers.count("200") >= 11, places) == (True, "[]")
