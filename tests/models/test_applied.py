"""The applied models give what their parts say, row by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import BundleError
from recsys.models.bundle import Bundle, Part, read_bundle, write_bundle
from recsys.models.calibration import Isotonic, Platt
from recsys.models.churn import ChurnModel, churn_content
from recsys.models.forest import Forest
from recsys.models.intervals import IntervalBins
from recsys.models.linear import Linear
from recsys.models.offers import OffersModel, offers_content
from recsys.models.predictive import GRID, Predictive
from recsys.models.spec import FeatureSpec
from recsys.models.value import ValueModel, carried, value_content
from recsys.testing.published import linear_content
from tests.models.forests import delicate_rows, random_model

SPEC = FeatureSpec(("f0", "f1", "f2"), 28, "customer-1")
TEXT, THRESHOLDS = random_model(11, 20, 31, 3)
FOREST = Forest.from_text(TEXT)
LINEAR = Linear.of(SPEC.names, {"f0": 2.0}, -1.0)
STEPS = Isotonic(np.array([-1.0, 0.0, 2.0]), np.array([0.05, 0.2, 0.7]))
CURVE = Platt(1.0, -2.0)
BINS = IntervalBins(np.array([1.0, 10.0]), np.array([0.5, 4.0]), np.array([3.0, 20.0]), 0.8)


def bundled(content) -> Bundle:
    """As `read_bundle` would give it."""
    return Bundle(content, "00", signed=False)


OFFERS = OffersModel.from_bundle(
    bundled(offers_content(SPEC, FOREST, new=STEPS, repeat=CURVE, item_level="product")), "3-00"
)
CHURN = ChurnModel.from_bundle(bundled(churn_content(SPEC, FOREST, STEPS)), "1-00")
VALUE = ValueModel.from_bundle(
    bundled(value_content(SPEC, spend=Part(FOREST, "exp", 100.0), orders=Part(LINEAR), intervals=BINS)), "1-00"
)


def answers(X):
    """Everything the three models say of rows (n, 3), as one matrix."""
    raw = OFFERS.raw(X)
    return np.column_stack(
        [raw, OFFERS.probability(raw, X[:, 0] > 0), CHURN.probability(X), *VALUE.expected(X), CHURN.contributions(X),
         VALUE.contributions(X), LINEAR.contributions(X), OFFERS.contributions(X)]
    )  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 120), kept=st.integers(1, 120))
def test_a_rows_answer_does_not_depend_on_the_other_rows(seed, n, kept):
    """Any rows, permuted and thinned out, get the bits they had among all."""
    X = delicate_rows(seed, n, 3, THRESHOLDS, np.float32)
    chosen = np.random.default_rng(seed).permutation(n)[:kept]

    assert answers(X[chosen]).tobytes() == answers(X)[chosen].tobytes()


def test_new_and_repeat_have_their_own_curve():
    """Raw 0 is 0.2 for a new item and σ(−2) for one bought before."""
    found = OFFERS.probability(np.zeros(2), np.array([True, False]))

    np.testing.assert_allclose(found, [0.2, 1 / (1 + np.exp(2))], rtol=1e-15)


def test_value_applies_link_scale_and_intervals():
    """A linear spend of 2·3 − 1 = 5 lies between the interpolated 0.5 + 4/9·3.5 and 3 + 4/9·17."""
    model = ValueModel.from_bundle(
        bundled(value_content(SPEC, spend=Part(LINEAR), orders=Part(LINEAR, "exp", 0.5), intervals=BINS)), "1"
    )

    found = model.expected(np.array([[3.0, 0.0, 0.0]]))

    np.testing.assert_allclose(np.ravel(found), [5.0, 0.5 * np.exp(5), 0.5 + 14 / 9, 3 + 68 / 9])


def test_a_negative_prediction_counts_as_nothing():
    """A baseline below 0 says 0, not a debt."""
    model = ValueModel.from_bundle(
        bundled(value_content(SPEC, spend=Part(LINEAR), orders=Part(LINEAR), intervals=BINS)), "1"
    )

    assert model.expected(np.array([[-3.0, 0.0, 0.0]])).spend.tolist() == [0.0]


def test_an_offset_multiplies():
    """A part that corrects feature f1 says scale · exp(raw) · f1: 0.5 · e¹ · 4 orders."""
    parts = {"spend": Part(LINEAR), "orders": Part(LINEAR, "exp", 0.5, "f1")}
    model = ValueModel.from_bundle(bundled(value_content(SPEC, **parts, intervals=BINS)), "1")

    assert model.expected(np.array([[1.0, 4.0, 0.0]])).orders[0] == pytest.approx(2.0 * np.e, rel=1e-15)


def test_an_offset_survives_the_disk(tmp_path):
    """A bundle written and read back multiplies by the same feature."""
    content = value_content(SPEC, spend=Part(LINEAR, "exp", 1.0, "f2"), orders=Part(LINEAR), intervals=BINS)
    write_bundle(tmp_path / "value", content)

    assert read_bundle(tmp_path / "value").content.parts["spend"].offset == "f2"


def test_an_offset_must_be_a_feature(tmp_path):
    """A part that starts from an unknown feature is not written."""
    content = value_content(SPEC, spend=Part(LINEAR, "exp", 1.0, "moon"), orders=Part(LINEAR), intervals=BINS)

    with pytest.raises(BundleError, match="Offset of part spend"):
        write_bundle(tmp_path / "value", content)


def test_the_power_of_an_offset_is_applied() -> None:
    """A blend that starts from f1 with half its score says scale · exp(raw) · √f1: 0.5 · e¹ · 2 orders."""
    parts = {"spend": Part(LINEAR), "orders": Part(LINEAR, "exp", 0.5, "f1", power=0.5)}
    model = ValueModel.from_bundle(bundled(value_content(SPEC, **parts, intervals=BINS)), "1")

    assert model.expected(np.array([[1.0, 4.0, 0.0]])).orders[0] == pytest.approx(np.e, rel=1e-15)


def test_carried_is_at_most_proportional():
    """Twice the classic's growth by 1.5 over three horizons is 1.5 · 3^0.5, and never more than 3."""
    assert carried(np.array([1.5, 2.9]), 0.5, 30.0, 90.0) == pytest.approx([1.5 * 3**0.5, 3.0])


def test_the_horizon_is_the_specs():
    """All three know their horizon."""
    assert (OFFERS.horizon_days, CHURN.horizon_days, VALUE.horizon_days) == (28, 28, 28)


@pytest.mark.parametrize("model", [OffersModel, ChurnModel, ValueModel])
def test_another_bundle_is_refused(model):
    """A model is only made of its own kind of bundle."""
    other = churn_content(SPEC, LINEAR, CURVE) if model is not ChurnModel else offers_content(
        SPEC, LINEAR, new=STEPS, repeat=STEPS, item_level="product"
    )  # fmt: skip

    with pytest.raises(BundleError, match="another model"):
        model.from_bundle(bundled(other), "1")


def test_a_lacking_calibration_is_named():
    """A bundle without its curve says which one."""
    from dataclasses import replace

    with pytest.raises(BundleError, match="calibration 'churn'"):
        ChurnModel.from_bundle(bundled(replace(churn_content(SPEC, LINEAR, CURVE), calibrations={})), "1")


def test_forecasts_and_distribution_at_once_are_those_asked_for_apart():
    """One walk through the trees gives the bits of two."""
    model = ValueModel.from_bundle(bundled(linear_content("value")), "1-00")
    X = np.random.default_rng(3).random((20, len(model.feature_spec.names))).astype(np.float32)
    at_once, apart = model.foretold(X), (model.expected(X), model.outlook(X))
    assert [each.tobytes() for part in at_once for each in part] == [each.tobytes() for part in apart for each in part]


SPREAD = Predictive(
    np.array([0.1, 0.9, 0.5, 0.3]),
    np.array([0.2, 0.4, -0.3]),
    np.array([-0.5, -0.7, 0.1]),
    np.array([-2.0, -1.0, 0.5]),
    np.cumsum(np.full((3, len(GRID)), 0.1), axis=1),
)
NAMED = FeatureSpec(("pareto_alive", "purchase_days", "prior"), 28, "customer-1")


def value_of(link: str, offset: str, power: float) -> ValueModel:
    """A value model of two random forests with a distribution."""
    spend, orders = (Forest.from_text(renamed(random_model(seed, 20, 31, 3)[0])) for seed in (11, 12))
    parts = {"spend": Part(spend, link, 100.0, offset, power), "orders": Part(orders, "exp", 1.0)}
    return ValueModel.from_bundle(bundled(value_content(NAMED, **parts, predictive=SPREAD)), "1-00")


def renamed(text: str) -> str:
    """The model's text with the names of NAMED."""
    return text.replace("feature_names=f0 f1 f2", "feature_names=" + " ".join(NAMED.names))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    link=st.sampled_from(["identity", "exp"]),
    way=st.sampled_from([("", 1.0), ("prior", 1.0), ("prior", 0.4)]),
)
def test_one_customers_forecast_has_the_bits_of_many(seed, link, way):
    """The kernel of one row gives what the night's kernels give for the same row among others."""
    model, X = value_of(link, *way), delicate_rows(seed, 20, 3, THRESHOLDS, np.float32)
    expected, outlook = model.foretold(X)
    one = model.foretold_one(X[7])
    many = [expected.spend[7], expected.orders[7], expected.low[7], expected.high[7], *outlook.orders[7]]
    assert np.array([*one[:4], *one.counts, *one.amounts]).tobytes() == np.array([*many, *outlook.spend[7]]).tobytes()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scorer=st.sampled_from([FOREST, LINEAR]), curve=st.sampled_from([STEPS, CURVE]))
def test_one_customers_churn_has_the_bits_of_many(seed, scorer, curve):
    """The kernel of one row gives what the night's kernels give for the same row among others."""
    model = ChurnModel.from_bundle(bundled(churn_content(SPEC, scorer, curve)), "1-00")
    X = delicate_rows(seed, 20, 3, THRESHOLDS, np.float32)
    assert np.float64(model.probability_one(X[7])).tobytes() == model.probability(X)[7].tobytes()


def test_a_value_model_without_forests_foretells_one_customer_too():
    """What the kernel of one row is not made for is answered by those of many."""
    X = np.array([[0.5, 3.0, 1.0]], np.float32)
    one, many = VALUE.foretold_one(X[0]), VALUE.expected(X)
    assert (*one[:4], one.counts) == (*(float(each[0]) for each in many), None)
