"""The rules of the house that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.docs.generating import ROOT

SOURCES = sorted(path for root in ("recsys", "training", "serving") for path in (ROOT / root).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
SENTENCE = re.compile(r"[^\n]+(\n[^\n]+)*[.:;?](\n|$)")
COMMANDS = re.compile(r"_command\.py$|/cli/app\.py$")
UNNAMED = re.compile(r"engine|manager|helper|processor|utils?", re.IGNORECASE)


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    said = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0  # type: ignore[operator]
    return function.end_lineno - function.lineno + 1 - said  # type: ignore[operator]


def public(node: ast.AST, before: str = "") -> Iterator[tuple[str, Documented]]:
    """Public classes, functions and methods of public classes with their dotted names, from a module's tree."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, Documented) and not each.name.startswith("_"):
            yield before + each.name, each
            if isinstance(each, ast.ClassDef):
                yield from public(each, f"{before}{each.name}.")
        elif isinstance(each, ast.If | ast.Try):
            yield from public(each, before)


def raises(node: ast.AST) -> bool:
    """Whether a function raises by itself, not by what it calls or by what it defines inside."""
    inner = [each for each in ast.iter_child_nodes(node) if not isinstance(each, Documented | ast.Lambda)]
    return any((isinstance(each, ast.Raise) and each.exc is not None) or raises(each) for each in inner)


def test_functions_are_short() -> None:
    """Half of all functions have at most 8 lines, 95% at most 40, none more than 60."""
    lengths = [length(each) for path in SOURCES for each in functions(path)]
    assert np.all(np.quantile(lengths, [0.5, 0.95, 1.0]) <= [8, 40, 60])


def test_modules_are_short() -> None:
    """No module has more than 400 lines."""
    assert [path.name for path in SOURCES if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_public_says_what_it_is_for(path: Path) -> None:
    """A module, its public classes, functions and methods have a docstring that begins with a whole sentence."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {"": ast.get_docstring(tree)} | {name: ast.get_docstring(each) for name, each in public(tree)}
    assert [name for name, text in said.items() if not SENTENCE.match(text or "")] == []


def test_what_raises_says_so() -> None:
    """A public function that raises something itself says so; commands, whose docstrings are for users, apart."""
    silent = []
    for path in (each for each in SOURCES if not COMMANDS.search(each.as_posix())):
        for name, each in public(ast.parse(path.read_text(encoding="utf-8"))):
            told = "raises" in (ast.get_docstring(each) or "").lower()
            if not isinstance(each, ast.ClassDef) and raises(each) and not told:
                silent.append(f"{path.relative_to(ROOT).as_posix()}: {name}")
    assert silent == []


def test_nothing_is_called_by_a_word_that_says_nothing() -> None:
    """No class, function or module is an engine, manager, helper, processor or utils."""
    named = [path.stem for path in SOURCES]
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named += [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert [name for name in named if UNNAMED.search(name)] == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_test_says_in_a_sentence_what_holds(path: Path) -> None:
    """A test's docstring begins with a line that is a whole sentence."""
    tests = [each for each in functions(path) if each.name.startswith("test_")]
    said = {each.name: (ast.get_docstring(each) or "").partition("\n")[0] for each in tests}
    assert [name for name, line in said.items() if not line.endswith(".")] == []


def test_only_settings_reads_the_environment() -> None:
    """Other modules may set variables for the libraries they load, none reads one."""
    read = re.compile(r"os\.getenv|os\.environ(?!\.setdefault\(|\[[^]]+\] = )")
    reading = [path.relative_to(ROOT).as_posix() for path in SOURCES if read.search(path.read_text(encoding="utf-8"))]
    allowed = {"recsys/settings.py", "recsys/compiled.py"}  # the latter: numba's own variable, before anything is set
    assert set(reading) <= allowed


def test_nothing_is_left_to_do() -> None:
    """No module holds a note of unfinished work."""
    mark = re.compile(r"\b(" + "TO" + r"DO|FIX" + r"ME|XXX)\b|NotImplementedError")
    assert [path.name for path in SOURCES if mark.search(path.read_text(encoding="utf-8"))] == []
