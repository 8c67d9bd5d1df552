"""The rows of a night's run are what the service answers for the same customers at the same instant, bit for bit."""

import csv
import json
import shutil

import pyarrow.parquet as pq
import pytest

from recsys.data.clock import to_iso
from recsys.decisioning import Novelty
from recsys.workspace import Workspace
from serving.batch.base import Wanted, score_base
from serving.batch.rows import INSTANTS as DUE

TZ = "America/New_York"
VALUE = (
    "expected_spend",
    "spend_low",
    "spend_high",
    "expected_orders",
    "p_alive",
    "year_spend",
    "year_is_extrapolated",
    "median_spend",
    "median_orders",
)

INSTANTS = ("next_purchase_at", "next_purchase_low", "next_purchase_high", "pays_back_at")


def told(reasons):
    """Reasons of a file as the service writes them."""
    return [reason | {"evidence": json.loads(reason["evidence"])} for reason in reasons]


def iso(instant):
    return None if instant is None else to_iso(int(instant.timestamp()), TZ)


def customer_row(answer):
    """A row of scores.parquet made from the service's answer."""
    churn, value = answer["churn"], answer["value"]
    row = {"customer_id": answer["customer_id"], "evidence": answer["evidence"]}
    row |= {"churn_probability": churn["probability"], "churn_horizon_days": churn["horizon_days"]}
    row |= {"churn_at_risk": churn["at_risk"], "churn_threshold": churn["threshold"]}
    row |= {"churn_reasons": churn["reasons"], "value_horizon_days": value["horizon_days"]}
    row |= {name: value[name] for name in (*VALUE, "next_purchase_at", "next_purchase_low", "next_purchase_high")}
    row |= {"value_tier": value["tier"], "worth_days": value["worth"]["days"]}
    row |= {name: told for name, told in value["worth"].items() if name != "days"}
    for each in value["intervals"]:
        share = f"{100 * each['level']:.0f}"
        row |= {f"{name}_{share}": told for name, told in each.items() if name != "level"}
    return row


def test_every_customer_s_scores_are_the_service_s(scored):
    """Churn, value, interval, next purchase and reasons of all customers, floats compared exactly."""
    rows = pq.read_table(scored.published.directory / "scores.parquet").to_pylist()
    for row in rows:
        row["churn_reasons"] = told(row["churn_reasons"])
        row |= {name: iso(row[name]) for name in INSTANTS}
    assert rows == [customer_row(scored.scores(row["customer_id"])) for row in rows]


def timing_rows(answer):
    """Rows of timing.parquet made from the service's answer."""
    every = [(None, answer["next"]), *((each["category"], each["next"]) for each in answer["categories"])]
    return [
        {"customer_id": answer["customer_id"], "category": category, "purchases": due["purchases"]}
        | {name: due[name] for name in DUE}
        | {f"within_{days}": chance for days, chance in due["within"].items()}
        for category, due in every
    ]


def test_every_customer_s_timing_is_the_service_s(scored):
    """Windows and chances of all customers and categories, floats compared exactly."""
    rows = pq.read_table(scored.published.directory / "timing.parquet").to_pylist()
    rows = [row | {name: iso(row[name]) for name in DUE} for row in rows]
    customers = pq.read_table(scored.published.directory / "scores.parquet")["customer_id"].to_pylist()
    assert rows == [row for each in customers for row in timing_rows(scored.timing(each))]
    assert any(row["category"] for row in rows)


def test_every_customer_s_offers_are_the_service_s(scored):
    """Items, ranks, raw scores, probabilities and reasons of all customers, floats compared exactly."""
    rows = pq.read_table(scored.published.directory / "offers.parquet").to_pylist()
    customers = pq.read_table(scored.published.directory / "scores.parquet")["customer_id"].to_pylist()
    for row in rows:
        row["reasons"] = told(row["reasons"])
    answered = [{"customer_id": each} | offer for each in customers for offer in scored.offers(each)["offers"]]
    assert rows == answered
    sources = {source for row in rows for source in row["sources"]}
    assert {"lookalikes", "viewed, not bought"} <= sources


@pytest.mark.parametrize("novelty", [Novelty("family", 60), Novelty("item", 30)], ids=str)
def test_offers_of_another_novelty_are_the_service_s(scored, tmp_path, novelty):
    """What new means changes a night's rows as it changes answers: items, scores and labels of all customers."""
    shutil.copytree(scored.workspace.directory, tmp_path / "copy")
    copy = Workspace.open(scored.workspace.settings.model_copy(update={"workspace": tmp_path / "copy"}))
    manifest = score_base(copy, tmp_path / "out", Wanted(n=5, mode="new", reasons=False, novelty=novelty)).manifest
    rows = [
        tuple(row[name] for name in ("customer_id", "item_id", "raw", "probability", "novelty"))
        for row in pq.read_table(tmp_path / "out" / "offers.parquet").to_pylist()
    ]
    wishes = {"mode": "new", "reasons": False, "novelty": manifest["novelty"]}
    assert rows == [
        (each, offer["item_id"], offer["raw"], offer["probability"], offer["novelty"])
        for each in pq.read_table(tmp_path / "out" / "scores.parquet")["customer_id"].to_pylist()
        for offer in scored.offers(each, **wishes)["offers"]
    ]
    assert rows


def test_the_base_is_everyone_known(scored):
    """Customers of the snapshot come first, those known from events alone after them."""
    customers = pq.read_table(scored.published.directory / "scores.parquet")["customer_id"].to_pylist()
    assert customers == [*scored.workspace.current_snapshot().customers, "=new-3", "new-1", "new-2", "new-4"]


def test_csv_reads_back_to_the_same_bits(scored, tmp_path):
    """The CSV of the same run holds the same numbers, and text that is no formula."""
    score_base(scored.workspace, tmp_path / "csv", Wanted(n=5, format="csv"))
    with (tmp_path / "csv" / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    exact = pq.read_table(scored.published.directory / "scores.parquet").to_pylist()
    numbers = ("churn_probability", "expected_spend", "p_alive", "year_spend")
    assert [[float(row[name]) for name in numbers] for row in rows] == [
        [row[name] for name in numbers] for row in exact
    ]


@pytest.mark.parametrize(("threads", "chunk"), [(1, 1000), (3, 1), (2, 13)])
def test_threads_and_chunks_change_no_byte(scored, tmp_path, threads, chunk):
    """However the work is cut, both tables hold the same rows."""
    settings = scored.workspace.settings.model_copy(update={"threads": threads})
    again = type(scored.workspace).open(settings)
    score_base(again, tmp_path / "again", Wanted(n=5, chunk=chunk))
    for table in ("scores.parquet", "offers.parquet"):
        expected = pq.read_table(scored.published.directory / table)
        assert pq.read_table(tmp_path / "again" / table).equals(expected)


def test_answers_name_the_run_they_agree_with(scored):
    """Scores and offers like the run's carry its id."""
    run = scored.published.manifest["run_id"]
    assert {scored.scores("c0001")["batch_run"], scored.offers("c0000", n=3)["batch_run"]} == {run}


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "new"},
        {"novelty": {"level": "group"}},
        {"n": 6},
        {"exclude": ["p001"]},
        {"basket": [{"product_id": "p001"}]},
        {"attributes": {"age": "old"}},
    ],
    ids=str,
)
def test_offers_of_another_kind_name_no_run(scored, other):
    """What the run did not ask for is not claimed to be in it."""
    assert scored.offers("c0001", **other)["batch_run"] is None


def test_a_stranger_is_in_no_run(scored):
    """A customer the run did not score gets no run id."""
    assert scored.scores("stranger")["batch_run"] is None
