"""`barista demo` does what is still to be done and says what to try with customers that exist."""

import json
import re

import pytest

from recsys.cli.demo_command import missing_steps, try_this
from recsys.data.files import replace_text
from recsys.workspace import Workspace


def names(workspace: Workspace) -> list[str]:
    return [arguments[0] for _, arguments in missing_steps(workspace)]


@pytest.fixture
def finished(tiny_workspace: Workspace) -> Workspace:
    """Imported, trained and scored."""
    for name in ("offers", "churn", "value"):
        (tiny_workspace.bundles / name / "1").mkdir(parents=True)
        replace_text(tiny_workspace.bundles / name / "champion", "1\n")
    run = {"snapshot_id": tiny_workspace.snapshot_id()}
    replace_text(tiny_workspace.directory / "scores" / "last.json", json.dumps(run))
    return tiny_workspace


def test_an_empty_workspace_needs_everything(settings):
    """A newcomer's first run imports, trains and scores, in this order."""
    assert names(Workspace.create(settings)) == ["import", "train", "score"]


def test_a_finished_workspace_needs_nothing(finished):
    """The second run starts the service at once."""
    assert names(finished) == []


def test_a_new_import_is_scored_again(finished, tiny_snapshot):
    """Scores of former data are not shown as those of today."""
    other = tiny_snapshot.with_facts(source="another").save(finished.snapshots)
    finished.publish_snapshot(other.snapshot_id)
    assert names(finished) == ["score"]


def test_an_interrupted_training_is_taken_up_again(finished):
    """With one model missing everything after the import is done anew."""
    (finished.bundles / "value" / "champion").unlink()
    assert names(finished) == ["train", "score"]


def test_the_lines_to_try_name_customers_of_the_data(finished):
    """Whoever pastes a line gets an answer about somebody."""
    text = "\n".join(try_this(finished))
    named = {*re.findall(r'"customer_id": "(\w+)"', text), *re.findall(r"customers/(\w+)/scores", text)}
    assert (len(named), named <= set(finished.current_snapshot().customers)) == (2, True)
