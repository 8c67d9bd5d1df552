"""POST /v1/events: kept once, all or none, against the clock."""

import pytest


def outcomes(answer):
    return [each["outcome"] for each in answer.json()["outcomes"]]


def test_the_same_event_counts_once(service, purchase):
    """An event told twice is accepted once and repeated once."""
    assert outcomes(service.report(purchase(), purchase())) == ["accepted", "repeated"]


def test_another_event_under_a_taken_id_is_a_conflict(service, purchase):
    """An id is taken for good: other content under it is not kept."""
    service.report(purchase())
    assert outcomes(service.report(purchase(customer="bob"))) == ["conflict"]


def test_a_retry_is_a_repetition_however_late(make_workspace, serve, purchase):
    """An event without an instant keeps the one of its first telling, also when the clock has moved on."""
    clock = "2024-03-20T10:00:00+01:00"
    workspace = make_workspace(clock=clock)
    serve(workspace).report(purchase())
    later = make_workspace(clock="2024-03-21T10:00:00+01:00")
    answer = serve(later).report(purchase()).json()
    assert answer["outcomes"] == [{"event_id": "e1", "outcome": "repeated", "occurred_at": clock}]


def test_a_clock_slightly_ahead_is_taken_for_ours(service, purchase):
    """Five minutes ahead of the service's clock count as now."""
    answer = service.report(purchase(occurred_at="2024-03-12T10:34:59+01:00")).json()
    assert answer["outcomes"][0]["occurred_at"] == "2024-03-12T10:30:00+01:00"


def test_the_future_is_refused_with_the_setting_to_change(service, purchase):
    """An event later than that is refused and the message names the clock's setting."""
    problem = service.report(purchase(occurred_at="2024-03-12T10:36:00+01:00"))
    assert (problem.status_code, "BARISTA_CLOCK" in problem.json()["expected"]) == (422, True)


def test_one_bad_event_keeps_all_out(service, purchase):
    """A body with one malformed event changes nothing."""
    service.report(purchase("e1"), purchase("e2", occurred_at="yesterday"))
    assert service.workspace.events().count() == 0


def test_every_fault_of_a_body_is_named(service, purchase):
    """All faults come in one answer, each with its place."""
    bad = purchase(lines=[{"product_id": "tea", "quantity": 0, "amount": 1.234}], occurred_at="2024-03-12")
    errors = service.report(purchase("e0"), bad).json()["errors"]
    places = {"/events/1/occurred_at", "/events/1/lines/0/amount", "/events/1/lines/0/quantity"}
    assert {error["pointer"] for error in errors} == places


def test_an_old_event_is_applied(service, purchase):
    """An event from before the snapshot's end still counts."""
    service.report(purchase(occurred_at="2024-03-02T12:00:00Z"))
    assert service.http.get("/v1/customers/ann").json()["orders"] == 4


def test_an_order_the_snapshot_has_counts_once(service, purchase):
    """The event of an order that was imported too is the same order."""
    service.report(purchase(occurred_at="2024-03-11T08:00:00Z", order_id="o3", product="latte"))
    assert service.http.get("/v1/customers/ann").json()["orders"] == 3


def test_money_is_exact(service, purchase):
    """Ten cents three times are thirty cents."""
    lines = [{"product_id": "tea", "quantity": 1, "amount": 0.10}] * 3
    service.report(purchase(customer="dora", lines=lines))
    assert service.http.get("/v1/customers/dora").json()["spend"] == 0.30


@pytest.mark.parametrize("kind", ["view", "cart", "shown", "clicked", "accepted", "declined"])
def test_other_events_are_kept_and_change_no_history(service, purchase, kind):
    """What is no purchase is kept for learning and leaves the history alone."""
    service.report(purchase() | {"type": kind})
    assert service.workspace.events().count() == 1
    assert service.http.get("/v1/customers/ann").json()["orders"] == 3


def test_a_refund_with_a_negative_number_is_refused(service, purchase):
    """A refund says what came back; a minus would turn it into a purchase."""
    lines = [{"product_id": "tea", "quantity": -1, "amount": 2.1}]
    problem = service.report(purchase(lines=lines) | {"type": "refund"}).json()
    assert problem["errors"][0]["pointer"] == "/events/0/lines/0/quantity"


def test_an_order_without_lines_is_refused(service, purchase):
    """A purchase of nothing is no purchase."""
    assert service.report(purchase(lines=[])).json()["errors"][0]["pointer"] == "/events/0/lines"
