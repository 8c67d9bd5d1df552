"""The MLflow model of a bundle answers from transaction lines what the service answers from its snapshot."""

import pandas as pd
import pytest
from msgspec import structs

from recsys.data.clock import DAY, to_iso
from recsys.decisioning import OfferRequest, recommend, score
from recsys.errors import RequestRefused
from recsys.registry import Registry, RunRecord
from recsys.registry.lines import answer_lines
from recsys.testing.builders import random_lines


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    """The table the snapshot was built from, as a data scientist holds it: floats of currency, instants."""
    table = random_lines(7).to_pandas()
    table["occurred_at"] = pd.to_datetime(table["occurred_at"], unit="s", utc=True)
    table[["amount", "discount"]] /= 100
    return table


@pytest.fixture
def loaded(workspace, bundle, snapshot, monkeypatch):
    """`mlflow.pyfunc.load_model` of a freshly promoted champion."""

    def load(name: str):
        registry = Registry(workspace.settings)
        registry.promote(name, registry.publish(name, bundle(name), RunRecord(), snapshot))
        registry.pull(workspace.bundles)
        import mlflow

        monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.address)
        return mlflow.pyfunc.load_model(f"models:/{name}@champion")

    return load


def test_churn_equals_the_service_bit_for_bit(loaded, workspace, lines, snapshot):
    """`models:/churn@champion` and the API are one model."""
    as_of = snapshot.as_of + 3 * DAY
    found = loaded("churn").predict(lines, params={"as_of": to_iso(as_of)})
    serving = workspace.load_serving()
    expected = {customer: score(serving, customer, (), as_of).churn.probability for customer in snapshot.customers}
    assert dict(zip(found["customer_id"], found["probability"], strict=True)) == expected


def test_value_equals_the_service_bit_for_bit(loaded, workspace, lines, snapshot):
    """Money, intervals and dates too."""
    found = loaded("value").predict(lines, params={"as_of": to_iso(snapshot.as_of)})
    serving = workspace.load_serving()
    expected = [structs.asdict(score(serving, customer, (), snapshot.as_of).value) for customer in snapshot.customers]
    columns = ["expected_spend", "spend_low", "spend_high", "expected_orders", "p_alive", "next_purchase_at"]
    assert found[columns].to_dict("records") == [{name: row[name] for name in columns} for row in expected]


def test_offers_equal_the_service(loaded, workspace, lines, snapshot):
    """The same items in the same order with the same probabilities."""
    found = loaded("offers").predict(lines, params={"as_of": to_iso(snapshot.as_of)})
    serving = workspace.load_serving()
    answers = [recommend(serving, OfferRequest(customer), (), snapshot.as_of).offers for customer in snapshot.customers]
    assert [list(zip(*row, strict=True)) for row in zip(found["items"], found["probabilities"], strict=True)] == [
        [(offer.item_id, offer.probability) for offer in offers] for offers in answers
    ]


@pytest.fixture
def answer(loaded, lines):
    """Answers of the churn model for changed lines."""
    serving = loaded("churn").unwrap_python_model().serving
    return lambda change=lambda table: table, as_of="2025-02-01T00:00:00Z": answer_lines(serving, change(lines), as_of)


def test_rows_may_come_in_any_order(answer):
    """A table has no order; neither has the answer's input."""
    assert answer(lambda table: table.sample(frac=1, random_state=3)).equals(answer())


def test_lines_after_as_of_change_nothing(answer):
    """The model can't see the future it predicts."""
    past = answer(lambda table: table[table["occurred_at"] <= "2024-06-30T00:00:00Z"], "2024-06-30T00:00:00Z")
    whole = answer(as_of="2024-06-30T00:00:00Z").set_index("customer_id").loc[past["customer_id"]].reset_index()
    assert whole.equals(past)


def test_an_order_id_that_comes_back_later_is_another_order(answer):
    """Tills start numbering anew; two visits stay two visits."""
    reused = answer(lambda table: table.assign(order_id="1"))
    assert reused.equals(answer(lambda table: table.drop(columns="order_id")))


def test_texts_of_instants_are_read_like_instants(answer):
    """A CSV read without parsing dates gives the same answer."""
    assert answer(lambda table: table.assign(occurred_at=table["occurred_at"].astype(str))).equals(answer())


def test_without_as_of_the_last_line_is_now(answer, lines):
    """The default looks at everything there is."""
    assert answer(as_of="").equals(answer(as_of=lines["occurred_at"].max().isoformat()))


@pytest.mark.parametrize(
    ("change", "as_of"),
    [
        (lambda table: table.head(0), "2025-01-01"),
        (lambda table: table, "soon"),
        (lambda table: table.assign(occurred_at="soon"), "2025-01-01"),
    ],
)
def test_what_can_not_be_read_is_refused(answer, change, as_of):
    """No line, or an instant that is none, is an error and no silent answer."""
    with pytest.raises(RequestRefused):
        answer(change, as_of)
