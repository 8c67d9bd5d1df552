"""The documentation says what is: generated parts are fresh, blocks run, named paths, targets and commands exist."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from recsys.data.mapping_file import mapping_of
from tests.docs.generating import PARTS, ROOT, documents, regenerated

FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
PATHS = re.compile(
    r"`((?:recsys|training|serving|tests|docs|notebooks|\.ci)/[\w./<>*-]*|[A-Z]\w+\.md|Makefile|pyproject\.toml)`"
)
NAMES = [path.relative_to(ROOT).as_posix() for path in documents()]


def text_of(name: str) -> str:
    """Text of a document."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """Fenced blocks of a language in a document, in order."""
    return [block["text"] for block in FENCE.finditer(text_of(name)) if block["language"] == language]


@pytest.mark.parametrize("name", NAMES)
def test_generated_parts_are_fresh(name: str) -> None:
    """Writing the generated parts of a document anew changes nothing (`python -m tests.docs.generating`)."""
    assert regenerated(text_of(name)) == text_of(name)


@pytest.mark.parametrize("name", [name for name in NAMES if blocks(name, "python")])
def test_python_blocks_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a document run one after the other, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    # The blocks themselves say what must hold: any error of theirs is this test's.
    exec(compile("\n".join(blocks(name, "python")), name, "exec"), {"__name__": "documentation"})


@pytest.mark.parametrize("name", NAMES)
def test_json_and_toml_blocks_parse(name: str) -> None:
    """Every JSON and TOML block is JSON or TOML."""
    parsed = [json.loads(block) for block in blocks(name, "json")]
    parsed += [tomllib.loads(block) for block in blocks(name, "toml")]
    assert None not in parsed


def test_every_kind_of_generated_part_is_in_the_documentation() -> None:
    """Settings, commands, routes, problems, metrics and figures each have their generated place."""
    whole = "".join(map(text_of, NAMES))
    assert [part for part in PARTS if part != "figures" and f"<!-- generated: {part}" not in whole] == []


def test_the_mapping_shown_first_is_one() -> None:
    """The mapping in README.md is read by the import."""
    mapping = mapping_of(tomllib.loads(blocks("README.md", "toml")[0]), ROOT)
    assert mapping.rules().levels == ("group", "family")


def test_the_answer_shown_first_is_one() -> None:
    """The answer in README.md has exactly the keys and types of an answer, and belongs to the request above it."""
    import msgspec

    from serving.http.bodies import OffersBody, RecommendationRequest
    from tests.docs.example import REQUEST

    shown = json.loads(blocks("README.md", "json")[0])
    answer, request = msgspec.convert(shown, OffersBody), msgspec.convert(REQUEST, RecommendationRequest)
    assert (json.loads(msgspec.json.encode(answer)), answer.customer_id, len(answer.offers)) == (
        shown,
        request.customer_id,
        request.n,
    )


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_exist(name: str) -> None:
    """Every `make target` a document names is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+)%?:", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$? *)make ([a-z-]+)", text_of(name), re.MULTILINE))
    assert {target for target in named if target not in targets and not target.startswith("bench-")} == set()


@pytest.mark.parametrize("name", NAMES)
def test_commands_exist(name: str) -> None:
    """Every `barista command` a document names is one."""
    import typer

    from recsys.cli.app import build_app

    known = set(typer.main.get_command(build_app()).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"(?:`|^\$? *)barista (?:-[-\w]+ \S+ )*([a-z]+)", text_of(name), re.MULTILINE))
    assert named - known == set()


@pytest.mark.parametrize("name", NAMES)
def test_named_paths_exist(name: str) -> None:
    """Every path of the repository a document names exists."""
    named = {path for path in PATHS.findall(text_of(name)) if "<" not in path}
    assert {path for path in named if not list(ROOT.glob(path.rstrip("/")))} == set()


@pytest.mark.parametrize("name", NAMES)
def test_links_between_documents_lead_somewhere(name: str) -> None:
    """Relative links of a document point at files."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text_of(name))
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_the_architecture_names_every_package() -> None:
    """docs/architecture.md names each package of the three roots."""
    packages = {
        f"{folder.parent.relative_to(ROOT)}/"
        for root in ("recsys", "serving")
        for folder in ROOT.glob(f"{root}/*/__init__.py")
    }
    assert {package for package in packages if f"`{package}" not in text_of("docs/architecture.md")} == set()


def test_the_console_needs_nothing_from_outside() -> None:
    """No file of the console names an address of another machine."""
    files = [
        path for path in (ROOT / "serving" / "console").iterdir() if path.suffix in {".html", ".css", ".js", ".svg"}
    ]
    outside = re.compile(r"(?:https?:)?//(?!www\.w3\.org/)[a-z0-9-]+\.[a-z]")
    assert [
        path.name for path in files if outside.search(re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE))
    ] == []
