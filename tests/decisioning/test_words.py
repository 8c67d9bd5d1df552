"""Words: plural forms as CLDR lists them, numbers as each language writes them, and no code without a sentence."""

from itertools import product

import pytest

from recsys.decisioning.churn_reasons import CHURN_CODES
from recsys.decisioning.offer_reasons import OFFER_CODES
from recsys.decisioning.words import LANGUAGES, Blank, checked_language, say, words
from recsys.decisioning.words.numbers import FORMS, NUMBER_STYLES, PLURALS
from recsys.errors import RequestRefused

CODES = (*OFFER_CODES, *{code for codes in CHURN_CODES.values() for code in codes}, "raises_churn", "lowers_churn")
TOLD_WITHOUT_NUMBER = {("en", "times", "one")}
"""Forms that are words: "once"."""

# Samples of the Unicode CLDR, "Language Plural Rules", cardinals.
SAMPLES = {
    ("en", "one"): (1,),
    ("en", "other"): (0, 2, 16, 100, 1000, 0.1, 1.5, 10.1),
    ("ru", "one"): (1, 21, 31, 41, 51, 61, 71, 81, 101, 1001),
    ("ru", "few"): (2, 3, 4, 22, 23, 24, 32, 33, 34, 42, 43, 44, 52, 53, 54, 62, 102, 1002),
    ("ru", "many"): (0, 5, 6, 7, 11, 12, 13, 14, 15, 18, 19, 100, 1000, 10000, 100000, 1000000),
    ("ru", "other"): (0.1, 0.9, 1.1, 1.5, 1.6, 10.1, 100.1, 1000.1),
}
SAMPLES |= {("uk", form): numbers for (language, form), numbers in list(SAMPLES.items()) if language == "ru"}
COUNT_OF = {("en", "one"): 1, ("en", "other"): 7} | {
    (language, form): count
    for language, (form, count) in product(("ru", "uk"), (("one", 1), ("few", 3), ("many", 5), ("other", 1.5)))
}


def blanks(code, language="en"):
    return [part for part in words(language).sentences[code] if isinstance(part, Blank)]


def numbers_of(code, language, count):
    """Evidence for every blank of a sentence in any language: `count` for each number, a name for each text."""
    kinds = {each.name: each.kind for language in LANGUAGES for each in blanks(code, language)}
    return {name: "LATTE" if kind == "text" else count for name, kind in kinds.items()}


@pytest.mark.parametrize(("language", "form"), SAMPLES)
def test_plural_forms_are_those_of_cldr(language, form):
    """Every sample of the published tables gets the form it is listed under."""
    assert {PLURALS[language](n) for n in SAMPLES[language, form]} == {form}


@pytest.mark.parametrize(("language", "form"), COUNT_OF)
def test_every_code_renders_in_every_language_and_form(language, form):
    """No code lacks a sentence, no sentence a number or a form of a unit."""
    count = COUNT_OF[language, form]
    said = {code: say(code, numbers_of(code, language, count), language) for code in CODES}
    assert not [code for code, text in said.items() if not text or "{" in text or "}" in text]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_unit_has_exactly_the_forms_of_its_language(language):
    """Translators owe one, few, many and other where the language has them, each with its number."""
    wrong = {
        (language, unit, form)
        for unit, forms in words(language).units.items()
        for form in {*FORMS[language], *forms}
        if "{n}" not in forms.get(form, "") or form not in FORMS[language]
    }
    assert wrong <= TOLD_WITHOUT_NUMBER


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_blank_is_of_a_known_kind(language):
    """A blank is a text, a style of number or a unit of the language."""
    known = {"text", *NUMBER_STYLES, *words(language).units}
    assert {blank.kind for code in words(language).sentences for blank in blanks(code, language)} <= known


def test_every_language_has_the_same_sentences():
    """No language has a code the others lack."""
    assert len({frozenset(words(language).sentences) for language in LANGUAGES}) == 1


def test_every_reason_tells_a_number():
    """No sentence of a reason does without a number in any language."""
    wordless = [
        (code, language)
        for code, language in product(CODES, LANGUAGES)
        if code not in ("raises_churn", "lowers_churn", "bought_once")
        and all(blank.kind == "text" for blank in blanks(code, language))
    ]
    assert wordless == []


# As CLDR formats decimals and percents of the three languages; U+00A0 is the space that does not break.
WRITTEN = {
    ("en", "number"): "1,234,568",
    ("ru", "number"): "1\u00a0234\u00a0568",
    ("uk", "number"): "1\u00a0234\u00a0568",
    ("en", "money"): "1,234,567.50",
    ("ru", "money"): "1\u00a0234\u00a0567,50",
    ("uk", "money"): "1\u00a0234\u00a0567,50",
}


@pytest.mark.parametrize(("language", "style"), WRITTEN)
def test_numbers_are_written_as_the_language_does(language, style):
    """Thousands and decimals stand apart as CLDR has it."""
    assert words(language).style.write(1_234_567.5, style) == WRITTEN[language, style]


@pytest.mark.parametrize(("language", "text"), [("en", "3.2%"), ("ru", "3,2\u00a0%"), ("uk", "3,2%")])
def test_percents_are_written_as_the_language_does(language, text):
    """Russian sets a space before the percent sign, Ukrainian none."""
    assert words(language).style.write(0.032, "percent") == text


SENTENCES = {
    "en": "LATTE: bought 21 times, every 4.5 days on average, now 2 days since the last",
    "ru": "LATTE: 21\u00a0покупка, в среднем каждые 4,5\u00a0дня; с последней прошло 2\u00a0дня",
    "uk": "LATTE: 21\u00a0покупка, у середньому кожні 4,5\u00a0дня; від останньої минуло 2\u00a0дні",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_reads_as_written_by_hand(language):
    """The whole sentence of a rhythm: 21 takes the form of one, 4.5 that of decimals, 2 that of few."""
    numbers = {"item": "LATTE", "orders": 21, "gap_days": 4.5, "days_since_last": 2.0}
    assert say("own_rhythm", numbers, language) == SENTENCES[language]


def test_a_name_with_braces_stays_a_name():
    """What stands in the evidence is never read as a sentence."""
    assert "{orders:days}" in say("bought_once", {"item": "{orders:days}", "days_since_last": 3.0}, "en")


def test_an_unknown_language_names_the_known_ones():
    """The refusal lists what may be asked for."""
    with pytest.raises(RequestRefused, match="en, ru, uk"):
        checked_language("de")
