"""Groups of customers: false alarms stay rare, a group that is off is found, the base's own level is no alarm."""

import numpy as np
import pytest

from recsys.evaluation.subgroups import (
    LEAST,
    attribute_groups,
    behaviour_groups,
    check_amounts,
    check_chances,
    holm,
    warning,
)

N = 4_000


def chances(seed: int, twist: float = 0.0, level: float = 0.0) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Labels, forecasts and ten groups; the first tenth leaves more often by `twist` in log-odds, all by `level`."""
    draw = np.random.default_rng(seed)
    odds = draw.normal(-1.0, 1.0, N)
    group = draw.integers(0, 10, N)
    truth = 1 / (1 + np.exp(-(odds + level + twist * (group == 0))))
    label = (draw.random(N) < truth).astype(np.float64)
    return label, 1 / (1 + np.exp(-odds)), {f"g{k}": group == k for k in range(10)}


def test_false_alarms_are_rare() -> None:
    """Of 200 calibrated forecasts with ten groups each, at most about one in twenty raises any alarm."""
    alarms = sum(any(each.p_value < 0.05 for each in check_chances(*chances(seed))) for seed in range(200))
    assert alarms <= 20


def test_a_group_that_is_off_is_found() -> None:
    """A group whose odds are e^0.8 times what was told is off; no other is."""
    assert [each.group for each in check_chances(*chances(1, twist=0.8)) if each.off] == ["g0"]


def test_the_level_of_the_base_is_nobodys_fault() -> None:
    """Where everybody leaves more often than told, no single group is off."""
    assert [each.group for each in check_chances(*chances(2, level=0.8)) if each.off] == []


def test_amounts_of_a_group_that_spends_more_are_off() -> None:
    """A group that spends 1.6 times what was told is off, and the furthest."""
    draw = np.random.default_rng(3)
    expected, group = draw.gamma(2.0, 10.0, N), draw.integers(0, 10, N)
    actual = expected * draw.gamma(4.0, 0.25, N) * np.where(group == 4, 1.6, 1.0)
    found = check_amounts(actual, expected, {f"g{k}": group == k for k in range(10)})
    worst = min(found, key=lambda each: each.p_value)
    assert (worst.group, worst.off) == ("g4", True)


def test_small_groups_are_left_out() -> None:
    """A handful of customers proves nothing."""
    label, p, _ = chances(4)
    few = np.arange(N) < LEAST - 1
    assert check_chances(label, p, {"few": few}) == ()


def test_holm_is_the_published_example() -> None:
    """p = .01, .04, .03, .005 → .03, .06, .06, .02 (R's p.adjust)."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_warning_says_who_and_how_much() -> None:
    """The sentence names the group, its size and both figures."""
    check = check_chances(*chances(1, twist=0.8))[0]
    text = warning("churn", check)
    assert f"{check.actual:.1%} left, {check.expected:.1%} was to be expected" in text
    assert f"g0 ({check.customers:,} customers)" in text


NAMES = ("days_since_first", "days_since_last", "purchase_days", "spend")


def test_behaviour_makes_the_groups_it_names() -> None:
    """A newcomer, a passer-by, a regular and a silent one, one each."""
    rows = np.array([[5, 5, 1, 10], [90, 90, 1, 10], [300, 2, 40, 900], [300, 200, 5, 50]], np.float32)
    groups = behaviour_groups(rows, NAMES, 28)
    who = [[name for name, mask in groups.items() if mask[k] and name != "top value"] for k in range(4)]
    assert who == [["new"], ["passers-by"], ["regulars"], ["silent"]]


def test_attributes_group_by_value_and_numbers_by_quarter() -> None:
    """Texts by value, many numbers in quarters, texts that name everybody not at all."""
    column = {"sex": ["f", "m", None] * 20, "born": list(range(60)), "street": [f"s{k}" for k in range(60)]}
    groups = attribute_groups(column)
    assert {name: int(mask.sum()) for name, mask in groups.items()} == {
        "sex: f": 20,
        "sex: m": 20,
        "born: up to 14.75": 15,
        "born: 14.75 to 29.5": 15,
        "born: 29.5 to 44.25": 15,
        "born: over 44.25": 15,
    }
