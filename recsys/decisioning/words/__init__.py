"""Reasons in the languages people read them in: a code and its numbers → a sentence, nothing else goes in.

Each language is one table, `<language>.toml` beside this file: a sentence per code, whose `{name:kind}` are filled with
the numbers of the evidence, and the words of units in every plural form the language has.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from recsys.decisioning.words.numbers import NUMBER_STYLES, PLURALS, NumberStyle, shown
from recsys.errors import RequestRefused

Language = Literal["en", "ru", "uk"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
"""Languages reasons are told in; the first is the default."""

Evidence = Mapping[str, float | str]
_TEXT = "text"


@dataclass(frozen=True, slots=True)
class Blank:
    """A place in a sentence: which number of the evidence stands there, and as what (`text`, a style, a unit)."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Words:
    """One language: its sentences by code, in parts, the forms of its units, and how it writes numbers."""

    language: Language
    sentences: Mapping[str, tuple[str | Blank, ...]]
    units: Mapping[str, Mapping[str, str]]
    style: NumberStyle

    def say(self, code: str, evidence: Evidence) -> str:
        """The sentence of `code` with the numbers of `evidence`.

        Raises:
            KeyError: no such code, or a number the sentence tells is not in the evidence.
        """
        parts = self.sentences[code]
        return "".join(part if isinstance(part, str) else self._fill(part, evidence[part.name]) for part in parts)

    def _fill(self, blank: Blank, value: float | str) -> str:
        if isinstance(value, str) or blank.kind == _TEXT:
            return str(value)
        if blank.kind in NUMBER_STYLES:
            return self.style.write(value, blank.kind)
        count = shown(value)
        form = PLURALS[self.language](count)
        return self.units[blank.kind][form].replace("{n}", self.style.write(value, "number"))


def checked_language(language: str) -> Language:
    """`language` if it is known.

    Raises:
        RequestRefused: it is not.
    """
    if language not in LANGUAGES:
        raise RequestRefused("Unknown language", found=language, expected=", ".join(LANGUAGES))
    return language


@cache
def words(language: Language) -> Words:
    """The table of a language, read once."""
    table = tomllib.loads(files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    style = NumberStyle(**table["numbers"])
    joined = {unit: {form: style.bind(text) for form, text in forms.items()} for unit, forms in table["units"].items()}
    sentences = {code: _parts(text) for code, text in table["sentences"].items()}
    return Words(language, sentences, joined, style)


def _parts(sentence: str) -> tuple[str | Blank, ...]:
    """`a {b:c} d` → `a `, Blank(b, c), ` d`."""
    parts: list[str | Blank] = []
    for at, text in enumerate(sentence.split("{")):
        inside, _, after = text.partition("}") if at else ("", "", text)
        if at:
            name, _, kind = inside.partition(":")
            parts.append(Blank(name, kind or _TEXT))
        parts.append(after)
    return tuple(part for part in parts if part)


def say(code: str, evidence: Mapping[str, Any], language: Language) -> str:
    """The sentence of `code` in `language`; see `Words.say`."""
    return words(language).say(code, evidence)
