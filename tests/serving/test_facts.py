"""GET /v1/customers/{id} and the finders."""


def test_known_facts_are_sums_of_the_purchases(shared):
    """Orders, spend, first and last purchase are those of the imported file."""
    facts = shared.http.get("/v1/customers/ann").json()
    told = (facts["orders"], facts["spend"], facts["first_purchase_at"], facts["last_purchase_at"])
    assert told == (3, 16.8, "2024-03-01T09:00:00+01:00", "2024-03-11T09:00:00+01:00")


def test_weeks_begin_on_monday_and_skip_none(shared):
    """Every week up to as_of has a row, purchases or not."""
    weeks = shared.http.get("/v1/customers/anton").json()["weeks"]
    assert [(week["week"], week["orders"]) for week in weeks] == [("2024-03-04", 2), ("2024-03-11", 0)]


def test_a_late_evening_stays_in_its_week(service, purchase):
    """Sunday 23:30 in Berlin is Sunday, though it is Sunday 22:30 in UTC; 00:30 is Monday's week."""
    service.report(
        purchase("a", "eve", occurred_at="2024-03-03T23:30:00+01:00"),
        purchase("b", "eve", occurred_at="2024-03-04T00:30:00+01:00"),
    )
    weeks = service.http.get("/v1/customers/eve").json()["weeks"]
    assert [week["week"] for week in weeks if week["orders"]] == ["2024-02-26", "2024-03-04"]


def test_last_orders_come_newest_first_with_names(shared):
    """Past orders name what was bought, the newest first."""
    orders = shared.http.get("/v1/customers/ann").json()["last_orders"]
    assert [[line["name"] for line in order["lines"]] for order in orders] == [["latte"], ["latte", "scone"], ["latte"]]


def test_a_customer_never_heard_of_is_not_found(shared):
    """Facts about nobody are a 404 that says what still works."""
    problem = shared.http.get("/v1/customers/nobody")
    assert (problem.status_code, "evidence: low" in problem.json()["cure"]) == (404, True)


def test_customers_are_found_by_the_beginning_of_their_id(shared):
    """The finder lists ids with the prefix, sorted."""
    found = shared.http.get("/v1/customers", params={"search": "an"}).json()["customers"]
    assert [each["customer_id"] for each in found] == ["ann", "anton"]


def test_the_finder_keeps_to_its_limit(shared):
    """At most `limit` rows come back."""
    assert len(shared.http.get("/v1/customers", params={"limit": 2}).json()["customers"]) == 2


def test_items_are_found_in_any_case_best_sellers_first(shared):
    """`T` is in latte (three lines), tea (two) and flat-white (one)."""
    found = shared.http.get("/v1/items", params={"search": "T"}).json()["items"]
    assert [each["item_id"] for each in found] == ["latte", "tea", "flat-white"]


def test_attributes_of_the_customers_table_are_shown(make_workspace, serve):
    """What the customers table says is part of the known facts."""
    import polars as pl

    workspace = make_workspace()
    table = pl.DataFrame({"customer_id": ["ann"], "city": ["Kyiv"], "birth_year": [1987]})
    table.write_parquet(workspace.current_snapshot().directory / "customers.parquet")
    attributes = serve(workspace).http.get("/v1/customers/ann").json()["attributes"]
    assert attributes == {"city": "Kyiv", "birth_year": 1987}
