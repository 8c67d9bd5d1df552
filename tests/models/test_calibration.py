"""Calibrated probabilities are probabilities, rise with the score and hold what they promise."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.errors import BundleError, NotEnoughData
from recsys.models.calibration import Isotonic, Platt, calibrate, calibration_from_json, interpolate

KINDS = [Isotonic, Platt]
rows = st.integers(1, 80).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float64, n, elements=st.floats(-10, 10, width=16)),
        hnp.arrays(np.int64, n, elements=st.integers(0, 1)),
    )
)


def draws(seed, n, truth):
    """Raw scores (n,) and labels drawn with probability truth(raw)."""
    random = np.random.default_rng(seed)
    raw = random.normal(size=n)
    return raw, (random.random(n) < truth(raw)).astype(int)


def wavy(raw):
    """A truth no logistic curve fits: steps at −1 and 1."""
    return 0.1 + 0.3 * (raw > -1) + 0.5 * (raw > 1)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(rows=rows)
def test_probabilities_are_never_0_or_1_and_rise(kind, rows):
    """For any labels, log loss is finite and a higher score never gets the lower probability."""
    raw, label = rows
    p = kind.fit(raw, label).apply(np.linspace(-10, 10, 201))

    assert np.all(np.diff(np.concatenate([[1e-300], p, [1 - 1e-16]])) >= 0)


def test_isotonic_pools_its_ends_with_the_base_rate():
    """0,0,0,1 at rising scores: the low step is (0 + ¼)/(3 + 1), the high one (1 + ¼)/(1 + 1)."""
    fitted = Isotonic.fit([1.0, 2.0, 3.0, 4.0], [0, 0, 0, 1])

    np.testing.assert_allclose(fitted.apply([1.0, 3.0, 4.0]), [1 / 16, 1 / 16, 5 / 8])


def test_isotonic_finds_steps():
    """With 100,000 rows the steps of the truth come out within 0.02 between the jumps."""
    raw, label = draws(0, 100_000, wavy)

    found = Isotonic.fit(raw, label).apply([-1.5, 0.0, 1.5])

    np.testing.assert_allclose(found, wavy(np.array([-1.5, 0.0, 1.5])), atol=0.02)


def test_platt_finds_the_logistic_curve():
    """Labels drawn from σ(2x − 1) give slope 2 and shift −1 within four standard errors."""
    raw, label = draws(1, 100_000, lambda x: 1 / (1 + np.exp(1 - 2 * x)))

    fitted = Platt.fit(raw, label)

    np.testing.assert_allclose([fitted.slope, fitted.shift], [2.0, -1.0], atol=0.06)


def test_platt_equals_the_regression_of_sklearn():
    """Slope and shift are those of an unpenalised logistic regression on his smoothed targets."""
    from sklearn.linear_model import LogisticRegression

    raw, label = draws(2, 500, lambda x: 1 / (1 + np.exp(-x)))
    positive, negative = label.sum(), (1 - label).sum()
    target = np.where(label, (positive + 1) / (positive + 2), 1 / (negative + 2))
    twin = LogisticRegression(C=np.inf, tol=1e-10).fit(
        np.tile(raw, 2)[:, None], np.repeat([1, 0], 500), np.concatenate([target, 1 - target])
    )

    fitted = Platt.fit(raw, label)

    np.testing.assert_allclose([fitted.slope, fitted.shift], [twin.coef_[0, 0], twin.intercept_[0]], rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_weight_two_counts_twice(kind):
    """Weights are repetitions."""
    raw, label = draws(3, 400, wavy)
    weight = np.arange(400) % 3
    repeated = np.repeat(np.arange(400), weight)

    found = kind.fit(raw, label, weight).apply(raw)

    np.testing.assert_allclose(found, kind.fit(raw[repeated], label[repeated]).apply(raw), rtol=1e-6)


def test_few_rows_get_the_logistic_curve():
    """Below a thousand rows steps would follow noise."""
    assert isinstance(calibrate(*draws(4, 999, wavy)), Platt)


def test_many_rows_get_steps_where_the_truth_has_them():
    """Cross-validation prefers steps for a truth no logistic curve fits."""
    assert isinstance(calibrate(*draws(5, 20_000, wavy)), Isotonic)


def test_a_logistic_truth_keeps_the_logistic_curve():
    """Cross-validation prefers the curve where the truth is one."""
    assert isinstance(calibrate(*draws(6, 3000, lambda x: 1 / (1 + np.exp(-x)))), Platt)


@pytest.mark.parametrize("n", [500, 20_000])
def test_calibrated_probabilities_hold_on_new_rows(n):
    """In ten equal parts of fresh rows the mean probability is within 0.05 of the share of positives on average."""
    truth = lambda x: 0.05 + 0.6 / (1 + np.exp(-2 * x))  # noqa: E731
    fitted = calibrate(*draws(7, n, truth))
    raw, _ = draws(8, 50_000, truth)
    parts = np.array_split(np.argsort(raw), 10)

    gaps = [abs(fitted.apply(raw[part]).mean() - truth(raw[part]).mean()) for part in parts]

    assert np.mean(gaps) < 0.05


def test_no_rows_are_not_enough():
    """Nothing can be calibrated on nothing."""
    with pytest.raises(NotEnoughData):
        calibrate([], [])


@given(
    values=hnp.arrays(np.float64, 20, elements=st.floats(-20, 20)),
    x=hnp.arrays(np.float64, 8, elements=st.floats(-10, 10, width=16), unique=True),
    y=hnp.arrays(np.float64, 8, elements=st.floats(0, 1)),
)
def test_interpolation_is_numpys(values, x, y):
    """The kernel is `np.interp` up to rounding."""
    x, y = np.sort(x), np.sort(y)

    np.testing.assert_allclose(interpolate(values, x, y), np.interp(values, x, y), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_json_keeps_every_bit(kind):
    """Stored and read back, the curve gives the same bits."""
    raw, label = draws(9, 2000, wavy)
    fitted = kind.fit(raw, label)

    read = calibration_from_json(json.loads(json.dumps(fitted.to_json())))

    np.testing.assert_array_equal(read.apply(raw), fitted.apply(raw))


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"kind": "spline"},
        {"kind": "platt", "slope": -1.0, "shift": 0.0},
        {"kind": "platt", "slope": float("nan"), "shift": 0.0},
        {"kind": "isotonic", "x": [0, 1], "y": [0.5]},
        {"kind": "isotonic", "x": [], "y": []},
        {"kind": "isotonic", "x": [1, 0], "y": [0.1, 0.5]},
        {"kind": "isotonic", "x": [0, 1], "y": [0.5, 0.1]},
        {"kind": "isotonic", "x": [0, 1], "y": [0.5, 1.1]},
        {"kind": "isotonic", "x": "ab", "y": "cd"},
    ],
)
def test_a_damaged_calibration_is_refused(stored):
    """A curve that falls, leaves [0, 1] or is none never answers."""
    with pytest.raises(BundleError):
        calibration_from_json(stored)
