"""What a later event, model or clock does to the agreement with the last run."""

import httpx
import pytest

from recsys.testing.published import publish_models
from serving.batch.base import Wanted, score_base
from serving.http.local import serve_locally
from tests.serving.test_state import wait_for


@pytest.fixture
def served(tmp_path, scored):
    """The base copied, scored and served; a test may change it."""
    import shutil

    place = tmp_path / "workspace"
    shutil.copytree(scored.workspace.directory, place)
    workspace = type(scored.workspace)(scored.workspace.settings.model_copy(update={"workspace": place}))
    with serve_locally(workspace) as local, httpx.Client(base_url=local.address, timeout=60) as client:
        yield workspace, client


def run_of(client, customer):
    return client.get(f"/v1/customers/{customer}/scores").json()["batch_run"]


def test_a_later_purchase_ends_the_agreement_of_its_customer_alone(served, scored):
    """Who bought since the run differs from it; everybody else does not."""
    _, client = served
    event = {"event_id": "later", "type": "purchase", "customer_id": "c0001", "lines": [{"product_id": "p001"}]}
    client.post("/v1/events", json={"events": [event]})
    assert (run_of(client, "c0001"), run_of(client, "c0002")) == (None, scored.published.manifest["run_id"])


def test_another_champion_ends_the_agreement(served):
    """A run by another model version is not named, a new run is."""
    workspace, client = served
    publish_models(workspace.directory, ["value"], version="2", seed=5)
    assert wait_for(lambda: run_of(client, "c0002") is None)
    published = score_base(workspace, workspace.directory.parent / "out", Wanted(n=5))
    assert wait_for(lambda: run_of(client, "c0002") == published.manifest["run_id"])
