"""Numbers as a language writes them, and the plural form they ask for (Unicode CLDR, supplemental plural rules).

Babel knows every language, at 12 MiB and 50 ms for each worker; what three of them need stands here.
"""

from collections.abc import Callable
from dataclasses import dataclass

NUMBER_STYLES = ("number", "percent", "money")
"""Plain number, share of one as percent, amount of money."""

_NO_BREAK = "\u00a0"


def shown(value: float) -> float:
    """What a plain number is rounded to before it is written: whole from 10 on, one decimal below."""
    rounded = round(value) if abs(value) >= 10 else round(value, 1)
    return float(rounded)


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How a language writes numbers.

    decimal  between whole part and decimals
    group    between thousands
    percent  after the number of a percentage
    bound    a number and the word after it stay on one line
    """

    decimal: str
    group: str
    percent: str
    bound: bool

    def write(self, value: float, style: str) -> str:
        """`value` in one of NUMBER_STYLES."""
        if style == "money":
            return self._digits(f"{value:,.2f}")
        if style == "percent":
            return self._digits(_plain(100 * value)) + self.percent
        return self._digits(_plain(value))

    def bind(self, text: str) -> str:
        """`text` with the space after its number made one that does not break."""
        return text.replace("{n} ", "{n}" + _NO_BREAK) if self.bound else text

    def _digits(self, text: str) -> str:
        whole, _, decimals = text.partition(".")
        whole = whole.replace(",", self.group)
        return whole + self.decimal + decimals if decimals else whole


def _plain(value: float) -> str:
    rounded = shown(value)
    return f"{rounded:,.0f}" if rounded.is_integer() else f"{rounded:,.1f}"


def _english(n: float) -> str:
    return "one" if n == 1 else "other"


def _east_slavic(n: float) -> str:
    """one: i % 10 = 1 but 11; few: i % 10 = 2 … 4 but 12 … 14; many: the other whole numbers; other: decimals."""
    if not float(n).is_integer():
        return "other"
    last, last_two = abs(int(n)) % 10, abs(int(n)) % 100
    if last == 1 and last_two != 11:
        return "one"
    return "few" if 2 <= last <= 4 and not 12 <= last_two <= 14 else "many"


PLURALS: dict[str, Callable[[float], str]] = {"en": _english, "ru": _east_slavic, "uk": _east_slavic}
"""Plural form of a number as shown, by language."""

FORMS: dict[str, tuple[str, ...]] = {
    "en": ("one", "other"),
    "ru": ("one", "few", "many", "other"),
    "uk": ("one", "few", "many", "other"),
}
"""Plural forms a language has."""
