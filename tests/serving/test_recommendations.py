"""POST /v1/recommendations: every key changes an answer, unknown customers are answered, purchases count at once."""

import pytest

CHANGES = [
    ("customer_id", {"customer_id": "bob"}),
    ("n", {"n": 1}),
    ("mode", {"mode": "new"}),
    ("exclude", {"exclude": ["latte"]}),
    ("basket", {"basket": [{"product_id": "muffin", "quantity": 2, "amount": 5.2}]}),
    ("context.groups", {"context": {"groups": ["FOOD"]}}),
    ("context.store_id", {"context": {"store_id": "south"}}),
    ("reasons", {"reasons": True}),
    ("novelty.level", {"novelty": {"level": "group"}}),
    ("novelty.look_back_days", {"novelty": {"look_back_days": 3}}),
]


@pytest.mark.parametrize(("key", "change"), CHANGES, ids=[key for key, _ in CHANGES])
def test_each_key_changes_the_answer(shared, key, change):
    """Every key of the request makes a difference to what is offered."""
    assert shared.offers(**change)["offers"] != shared.offers()["offers"]


def test_new_offers_only_what_was_never_bought(shared):
    """Mode `new` leaves out what the customer bought."""
    assert {offer["item_id"] for offer in shared.offers(mode="new")["offers"]} == {"flat-white", "tea", "muffin"}


@pytest.mark.parametrize(
    ("novelty", "new"),
    [
        ({"level": "family"}, {"tea"}),
        ({"level": "group"}, set()),
        ({"level": "group", "look_back_days": 3}, {"scone", "muffin"}),
        ({"look_back_days": 3}, {"flat-white", "tea", "muffin", "scone"}),
    ],
)
def test_new_is_what_the_request_says_it_is(shared, novelty, new):
    """Ann bought COFFEE a day ago and BAKERY, of the group FOOD, eight days ago."""
    offers = shared.offers(mode="new", novelty=novelty)["offers"]
    assert {offer["item_id"]: offer["novelty"] for offer in offers} == dict.fromkeys(new, "new")


def test_a_reported_purchase_makes_its_family_known(service, purchase):
    """Tea bought just now leaves nothing of its family that is new."""
    before = service.offers(mode="new", novelty={"level": "family"})["offers"]
    service.report(purchase(product="tea"))
    after = service.offers(mode="new", novelty={"level": "family"})["offers"]
    assert ([offer["item_id"] for offer in before], after) == (["tea"], [])


def test_an_unknown_level_of_novelty_is_refused_with_the_known_ones(shared):
    """The problem names the key and lists what can be asked."""
    asked = {"customer_id": "ann", "novelty": {"level": "brand"}}
    problem = shared.http.post("/v1/recommendations", json=asked)
    assert (problem.status_code, problem.json()["expected"]) == (422, "item, family, group")
    assert problem.json()["errors"][0]["pointer"] == "/novelty/level"


def test_repeat_offers_only_what_was_bought(shared):
    """Mode `repeat` keeps to what the customer bought."""
    assert {offer["item_id"] for offer in shared.offers(mode="repeat")["offers"]} == {"latte", "scone"}


def test_a_store_offers_only_what_it_sells(shared):
    """A context with a store keeps to the items sold there."""
    offers = shared.offers(context={"store_id": "south"})["offers"]
    assert {offer["item_id"] for offer in offers} == {"tea", "muffin"}


def test_unknown_customer_gets_popular_items_labelled(shared):
    """A stranger is no error: the answer says that it rests on little."""
    answer = shared.offers(customer_id="nobody-yet")
    assert (answer["evidence"], len(answer["offers"])) == ("low", 5)


def test_ranks_count_from_one_and_scores_fall(shared):
    """Offers come best first by the raw score, ranks counted from one."""
    offers = shared.offers()["offers"]
    ranking = [(offer["rank"], -offer["raw"]) for offer in offers]
    assert ranking == sorted(ranking)
    assert ranking[0][0] == 1


def test_a_basket_counts_as_bought(shared):
    """What is in the basket is not new any more and never offered."""
    basket = [{"product_id": "tea", "quantity": 1, "amount": 2.1}]
    assert "tea" not in {offer["item_id"] for offer in shared.offers(mode="mixed", basket=basket)["offers"]}


def test_a_reported_purchase_changes_the_next_offers(service, purchase):
    """A purchase acknowledged is a repeat, not news, in the very next answer."""
    service.report(purchase(product="tea"))
    assert "tea" in {offer["item_id"] for offer in service.offers(mode="repeat")["offers"]}


def test_a_reported_purchase_changes_the_next_scores(service, purchase):
    """Churn, value and next purchase all move with an acknowledged purchase."""
    before = service.scores()
    service.report(purchase())
    after = service.scores()
    fields = [("churn", "probability"), ("value", "expected_spend"), ("value", "next_purchase_at")]
    assert all(before[part][name] != after[part][name] for part, name in fields)


def test_a_refund_changes_the_next_scores(service, purchase):
    """A refund counts at once too."""
    before = service.scores()
    service.report(purchase(product="latte") | {"type": "refund"})
    assert service.scores()["value"]["expected_spend"] != before["value"]["expected_spend"]


def test_answers_say_what_they_come_from(shared):
    """Every answer names instant, snapshot and model version."""
    answer, snapshot = shared.offers(), shared.workspace.current_snapshot()
    expected = ("2024-03-12T10:30:00+01:00", snapshot.snapshot_id)
    assert (answer["as_of"], answer["snapshot_id"]) == expected
    assert answer["model_version"].startswith("1-")


def test_without_an_offers_model_the_answer_says_why(make_workspace, serve):
    """A workspace without an offers model answers 409 with a cure, and scores all the same."""
    workspace = make_workspace()
    (workspace.bundles / "offers" / "champion").unlink()
    service = serve(workspace)
    problem = service.http.post("/v1/recommendations", json={"customer_id": "ann"})
    assert (problem.status_code, "barista train" in problem.json()["cure"]) == (409, True)
    assert service.scores()["churn"] is not None


def test_reasons_only_when_asked_for(shared):
    """Scores carry reasons exactly when the query asks for them."""
    assert shared.scores()["churn"]["reasons"] == []
    assert shared.scores(reasons="true")["churn"]["reasons"] != []


@pytest.mark.parametrize(
    ("language", "said"), [("en", "the risk of leaving"), ("ru", "риск ухода"), ("uk", "ризик відходу")]
)
def test_reasons_come_in_the_language_asked_for(shared, language, said):
    """The sentences of the scores are in the language of the query."""
    assert said in shared.scores(reasons="true", language=language)["churn"]["reasons"][0]["text"]


@pytest.mark.parametrize("send", ["body", "query"])
def test_an_unknown_language_is_refused_with_the_known_ones(shared, send):
    """The answer is 422 and lists what may be asked for."""
    if send == "body":
        refused = shared.http.post("/v1/recommendations", json={"customer_id": "ann", "language": "de"})
    else:
        refused = shared.http.get("/v1/customers/ann/scores", params={"language": "de"})
    assert (refused.status_code, refused.json()["errors"][0]["expected"]) == (422, "en, ru, uk")


@pytest.mark.parametrize(
    ("path", "customer"),
    [
        ("a%2Fb/scores", "a/b"),
        ("a%2fb/scores", "a/b"),
        ("ann%2Fscores/scores", "ann/scores"),
        ("caf%C3%A9%2Fb/%73cores", "café/b"),
        ("%EF%BF%BD/scores", "\ufffd"),
    ],
)
def test_an_encoded_slash_belongs_to_the_id(shared, path, customer):
    """RFC 3986, section 2.2: it parts no path; any other sign may be encoded (section 2.3)."""
    assert shared.http.get(f"/v1/customers/{path}").json()["customer_id"] == customer


@pytest.mark.parametrize("path", ["nobody%2Fscores", "nobody%2Ftiming", "nobody%2Fexport"])
def test_an_encoded_slash_leads_to_no_other_answer(shared, path):
    """It names a customer, of whom nothing is known, not the scores of another."""
    answer = shared.http.get(f"/v1/customers/{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:barista:problem:unknown-customer")


def test_an_encoded_slash_leads_to_no_path(shared):
    """Nor is it one where no id stands."""
    answer = shared.http.get("/v1/decisions%2Fabc")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:barista:problem:not-found")


@pytest.mark.parametrize("path", ["%ff", "%fe/scores", "%EF%BF%BD%ff", "caf%E9/timing", "%C3%2F%A9"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_bytes_that_are_no_text_name_nobody(shared, method, path):
    """Decoded loosely, all of them would be the same customer."""
    answer = shared.http.request(method, f"/v1/customers/{path}")
    assert (answer.status_code, answer.json()["errors"][0]["found"]) == (422, "bytes that are no UTF-8")


def test_an_id_may_hold_slashes_and_spaces(service, purchase):
    """Ids are opaque: whatever a shop uses is found again when it is escaped."""
    service.report(purchase(customer="a b/c?d"))
    assert service.scores("a%20b%2Fc%3Fd")["evidence"] == "history"
