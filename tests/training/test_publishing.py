"""From a workspace to champions: every contender registered, the winner promoted and pulled."""

from dataclasses import replace
from pathlib import Path

import pytest

from recsys.data.snapshot import Snapshot
from recsys.errors import NotEnoughData
from recsys.evaluation.results import Verdict
from recsys.models.bundle import read_bundle, write_bundle
from recsys.registry import Registry
from recsys.settings import Settings
from recsys.workspace import Workspace
from training.fits import MODEL
from training.fitting import TrainingResult, Untrained, checked_horizon, fit_models
from training.publishing import Published, publish, train
from training.tables import Pasts


@pytest.fixture(scope="module")
def published(cafe_settings: Settings) -> Published:
    """Churn trained on the café for 28 days."""
    return train(cafe_settings, ("churn",), {"churn": 28})


def test_every_contender_is_registered(cafe_settings: Settings, published: Published) -> None:
    """Baselines are versions like any model."""
    assert len(Registry(cafe_settings).versions("churn")) >= len(published.versions["churn"]) == 6


def test_the_winner_is_champion_in_the_cache(cafe_settings: Settings, published: Published) -> None:
    """What serves is the bundle of the verdict's winner."""
    directory = Workspace.open(cafe_settings).champion("churn")
    assert directory is not None
    assert read_bundle(directory).content.facts["contender"] == published.result.trained[0].verdict.winner


def test_bundles_carry_the_figures_of_both_windows(published: Published) -> None:
    """Labelled as those of validation and test, never as those of the final fit."""
    metrics = published.result.trained[0].champion.content.metrics
    assert {name.split(".")[0] for name in metrics} == {"validation", "test"}


def test_the_report_is_written(published: Published) -> None:
    """An HTML page in the workspace's reports."""
    assert published.report.read_text().startswith("<!doctype html>")


def test_a_losing_model_is_registered_but_not_promoted(cafe_settings: Settings, published: Published) -> None:
    """With a verdict for a baseline, that baseline's version becomes champion and the model stays a version."""
    verdict = Verdict("recency rule", promoted=True, why="for the test")
    result = TrainingResult(published.result.snapshot, (replace(published.result.trained[0], verdict=verdict),))
    again = publish(cafe_settings, result)
    assert again.champions["churn"] == again.versions["churn"]["recency rule"] != again.versions["churn"][MODEL]


def test_training_twice_gives_the_same_digests(
    cafe_settings: Settings, cafe_snapshot: Snapshot, published: Published, tmp_path: Path
) -> None:
    """Same snapshot, seed and threads: the same bundles, metrics included."""
    again = fit_models(cafe_snapshot, ("churn",), {"churn": 28}, seed=cafe_settings.seed)
    digests = [
        [
            write_bundle(tmp_path / each.name.replace("/", "") / str(turn), each.content)
            for each in result.trained[0].final.contenders
        ]
        for turn, result in enumerate((published.result, again))
    ]
    assert digests[0] == digests[1]


def test_another_seed_gives_another_model(cafe_snapshot: Snapshot, published: Published) -> None:
    """The seed is what the random choices derive from."""
    other = fit_models(cafe_snapshot, ("churn",), {"churn": 28}, seed=4).trained[0]
    texts = [each.final.contender(MODEL) for each in (other, published.result.trained[0])]
    assert len({each.content.parts["churn"].scorer.to_text() for each in texts if each}) == 2


def test_a_model_the_data_cannot_carry_is_untrained_with_the_reason(cafe_snapshot: Snapshot) -> None:
    """A horizon beyond a third of the history is refused, not bent."""
    outcome = fit_models(cafe_snapshot, ("value",), {"value": 100}, seed=1).outcomes[0]
    assert isinstance(outcome, Untrained)
    assert "longer than a third" in outcome.why


def test_a_third_of_the_history_is_just_allowed(cafe_snapshot: Snapshot) -> None:
    """209 days carry a horizon of 69, not of 70."""
    pasts = Pasts(cafe_snapshot)
    with pytest.raises(NotEnoughData):
        checked_horizon("value", pasts, 70)
    assert checked_horizon("value", pasts, 69) == 69


def test_without_a_test_window_the_figures_are_those_of_the_choice(cafe_snapshot: Snapshot) -> None:
    """A third of the history leaves no window for a test, and the report says so."""
    outcome = fit_models(cafe_snapshot, ("churn",), {"churn": 69}, seed=1).trained[0]
    assert (outcome.test, "no window left for a test" in str(outcome.shown.facts["plan 1"])) == (None, True)
