"""Entity tags of scores: the same tag means the same bytes, any change a new tag."""

import pytest

from recsys.testing.published import publish_models
from serving.http.tags import matches
from tests.serving.test_state import wait_for

PATH = "/v1/customers/{}/scores"


def tagged(service, customer="ann", tag=None, **query):
    """Status, tag and body of scores."""
    headers = {"If-None-Match": tag} if tag else {}
    answer = service.http.get(PATH.format(customer), params=query, headers=headers)
    return answer.status_code, answer.headers["etag"], answer.content


def test_an_answer_one_has_is_not_sent_again(shared):
    """304 with the same tag and no body."""
    _, tag, _ = tagged(shared)
    assert tagged(shared, tag=tag) == (304, tag, b"")


def test_tags_may_stand_on_several_lines(shared):
    """RFC 9110, section 5.3: a list may be sent so."""
    tag = tagged(shared)[1]
    lines = [("If-None-Match", '"another"'), ("If-None-Match", tag)]
    assert shared.http.get("/v1/customers/ann/scores", headers=lines).status_code == 304


def test_a_304_may_be_kept_by_its_caller_alone(shared):
    """The caller may keep it and has to ask again; nobody between may."""
    answer = shared.http.get(PATH.format("ann"))
    assert answer.headers["cache-control"] == "private, no-cache"


def test_a_purchase_changes_the_tag(service, purchase):
    """The tag of before is no longer that of the answer: 200 with another body."""
    _, before, body = tagged(service)
    service.report(purchase())
    status, after, new = tagged(service, tag=before)
    assert (status, after == before, new == body) == (200, False, False)


def test_a_purchase_of_another_customer_changes_nothing(service, purchase):
    """The tag belongs to the customer."""
    _, before, _ = tagged(service)
    service.report(purchase(customer="bob"))
    assert tagged(service, tag=before)[0] == 304


def test_an_erasure_changes_the_tag(service):
    """Erased customers are strangers: nobody goes on with what was kept of them."""
    _, before, _ = tagged(service)
    service.http.delete("/v1/customers/ann")
    assert tagged(service, tag=before)[0] == 200


def test_a_new_model_changes_the_tag(service):
    """Another champion, another tag; rolled back, the former one."""
    _, before, _ = tagged(service)
    publish_models(service.workspace.directory, ["churn"], version="2", seed=9)
    assert wait_for(lambda: tagged(service)[1] != before)
    (service.workspace.bundles / "churn" / "champion").write_text("1")
    assert wait_for(lambda: tagged(service, tag=before)[0] == 304)


def test_the_instant_is_part_of_the_tag(make_workspace, serve):
    """At another as_of the numbers are others, so the tag is."""
    first = tagged(serve(make_workspace(clock="2024-04-01T00:00:00+00:00")))[1]
    second = tagged(serve(make_workspace(clock="2024-04-01T00:00:01+00:00")))[1]
    assert first != second


def test_reasons_have_their_own_tag(shared):
    """With and without reasons are two answers."""
    assert tagged(shared)[1] != tagged(shared, reasons="true")[1]


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (None, False),
        ("*", True),
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ('"b"', False),
        ("a", False),
        ('"ab"', False),
        ('"a,b", "c"', False),
    ],
)
def test_if_none_match_is_read_as_the_standard_says(given, known):
    """RFC 9110, 13.1.2: a list compared weakly, or a star."""
    assert matches(given, '"a"') is known
