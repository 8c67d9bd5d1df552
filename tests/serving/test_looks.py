"""Views and carts point to offers until they are bought; they are purchases nowhere."""

import json

import pytest

from recsys.settings import Settings
from recsys.testing.builders import customers_table, random_snapshot
from recsys.testing.published import publish_models, publish_snapshot
from recsys.workspace import Workspace, replay_decision
from tests.serving.test_decisions import changed, decision

VIEWED = "viewed, not bought"


@pytest.fixture
def look(purchase):
    """Builder of a view: ann's, of tea, now."""
    return lambda event_id="v1", **more: purchase(event_id, type="view", **more)


def sources(service, item="tea", **asked):
    """Sources of an item among the offers, None where it is not offered."""
    return next((o["sources"] for o in service.offers(**asked)["offers"] if o["item_id"] == item), None)


@pytest.mark.parametrize("kind", ["view", "clicked", "cart"])
def test_what_was_looked_at_says_so_until_it_is_bought(service, look, purchase, kind):
    """The offer names its source from the next request on, and not any more after the purchase."""
    before = VIEWED in sources(service)
    service.report(look() | {"type": kind})
    looked = VIEWED in sources(service)
    service.report(purchase("e2"))
    assert (before, looked, VIEWED in sources(service)) == (False, True, False)


@pytest.mark.parametrize("kind", ["shown", "accepted", "declined"])
def test_what_was_shown_is_no_look(service, look, kind):
    """Being shown something is not the customer's act."""
    service.report(look() | {"type": kind})
    assert VIEWED not in sources(service)


def test_a_look_is_a_purchase_nowhere(service, look):
    """Scores with their tag, facts, timing and what is new stay as they were."""
    paths = ("/v1/customers/ann", "/v1/customers/ann/scores", "/v1/customers/ann/timing")
    before = [service.http.get(path) for path in paths]
    service.report(look(), look("v2") | {"type": "cart"})
    after = [service.http.get(path) for path in paths]
    assert [each.content for each in after] == [each.content for each in before]
    assert after[1].headers["etag"] == before[1].headers["etag"]
    assert {o["item_id"] for o in service.offers(mode="new")["offers"]} == {"flat-white", "tea", "muffin"}


def test_a_look_at_an_unknown_product_changes_no_offer(service, look):
    """It is kept, and says nothing."""
    before = service.offers()["offers"]
    service.report(look(product="no such product"))
    assert service.offers()["offers"] == before


def test_an_erased_customer_s_looks_are_gone(service, look):
    """The next answer is a stranger's."""
    service.report(look())
    service.http.delete("/v1/customers/ann")
    assert VIEWED not in sources(service)


def test_looks_survive_an_import(service, look, newer_import):
    """The night folds orders into the snapshot; looks stay in the store until their look-back ends."""
    service.report(look())
    newer_import(service.workspace)
    assert VIEWED in sources(service)


def test_a_decision_is_replayed_with_the_looks_it_saw(service, look):
    """A look reported later changes nothing of it."""
    service.report(look())
    answer = service.offers(reasons=True)
    service.report(look("v2", product="muffin") | {"type": "cart"})
    assert (decision(service, answer["decision_id"])["looks"], VIEWED in str(answer)) == (1, True)
    assert replay_decision(service.workspace, answer["decision_id"]).same


def test_a_record_from_before_looks_counted_is_replayed_without(service, look, purchase):
    """Its last sequence number covers a look that nobody read then."""
    answer = service.offers()
    service.report(look())
    changed(service.workspace, answer["decision_id"], '"looks":0', '"other":0')
    changed(service.workspace, answer["decision_id"], '"last_sequence":0', '"last_sequence":1')
    assert replay_decision(service.workspace, answer["decision_id"]).same


@pytest.fixture
def aged(tmp_path, serve):
    """Sixty customers and a newcomer, old and young by turns; the service over them."""
    settings = Settings(workspace=tmp_path / "workspace", clock="snapshot", refresh_seconds=0.05)
    workspace = Workspace.create(settings)
    snapshot = random_snapshot(11, 60)
    people = [*snapshot.customers, "newcomer"]
    publish_snapshot(workspace.directory, snapshot, customers_table(people, age=["old", "young"] * 30 + ["old"]))
    publish_models(workspace.directory)
    return serve(workspace)


def told(answer):
    """An answer but for what differs between any two."""
    return {name: value for name, value in answer.items() if name not in {"customer_id", "decision_id"}}


def test_a_newcomer_s_attributes_answer_as_those_told_with_a_request(aged):
    """Imported or told, the same offers; another age, others; nobody's, popularity."""
    known = told(aged.offers(customer_id="newcomer"))
    asked = told(aged.offers(customer_id="nobody", attributes={"age": "old"}))
    young, nothing = (told(aged.offers(customer_id="nobody", attributes=age)) for age in ({"age": "young"}, {}))
    assert (known == asked, known["offers"] != young["offers"], known["evidence"]) == (True, True, "low")
    assert not any("lookalikes" in offer["sources"] for offer in nothing["offers"])


def test_a_decision_with_attributes_is_replayed(aged):
    """What was told is in the record and gives the same bits."""
    answer = aged.offers(customer_id="nobody", attributes={"age": "old"}, reasons=True)
    found = decision(aged, answer["decision_id"])
    assert found["asked"]["attributes"] == {"age": "old"}
    assert replay_decision(aged.workspace, answer["decision_id"]).same


def test_an_unknown_attribute_is_refused_with_the_known_ones(aged):
    """The problem says what may be told and repeats no value."""
    asked = {"customer_id": "nobody", "attributes": {"shoe_size": "forty-two"}}
    problem = aged.http.post("/v1/recommendations", json=asked)
    assert (problem.status_code, "age" in problem.text, "forty-two" in problem.text) == (422, True, False)


def test_an_erasure_takes_attributes_out_of_decisions(aged):
    """The record stays, names nobody, and tells no age."""
    answer = aged.offers(customer_id="newcomer", attributes={"age": "young"}, reasons=True)
    aged.http.delete("/v1/customers/newcomer")
    found = decision(aged, answer["decision_id"])
    assert (found["asked"]["attributes"], "young" in json.dumps(found)) == ({}, False)
    assert "lookalikes" not in {offer["code"] for each in found["offers"] for offer in each["reasons"]}


def test_an_erased_newcomer_is_a_stranger(aged):
    """Although the customers table still has the row until the next import."""
    aged.http.delete("/v1/customers/newcomer")
    assert told(aged.offers(customer_id="newcomer")) == told(aged.offers(customer_id="nobody"))
