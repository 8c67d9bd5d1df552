"""Who becomes champion: by the written rule, whoever it favours."""

import pytest

from recsys.evaluation import metrics
from recsys.evaluation.results import Contender, Difference, MetricRow, MetricTable
from training.fits import MODEL
from training.verdicts import churn_verdict, offers_verdict, value_verdict


def table(leading: str, ranking: str, model: float, rival: float, low: float) -> MetricTable:
    """The model and two baselines; `low` is the lower end of the paired difference in the ranking metric."""
    contenders = (
        Contender(MODEL, "model", (MetricRow(leading, model, better="lower"), MetricRow(ranking, 0.8))),
        Contender("rival", "baseline", (MetricRow(leading, rival, better="lower"), MetricRow(ranking, 0.8))),
        Contender("weak", "baseline", (MetricRow(leading, rival + 1, better="lower"), MetricRow(ranking, 0.6))),
    )
    return MetricTable("all", 1_000, contenders, (Difference(ranking, MODEL, "rival", low + 0.01, low, low + 0.02),))


@pytest.mark.parametrize(
    ("model", "low", "winner"),
    [(0.40, 0.001, MODEL), (0.40, -0.004, MODEL), (0.40, -0.02, "rival"), (0.50, 0.001, "rival")],
)
def test_churn_goes_to_the_model_only_without_a_loss(model: float, low: float, winner: str) -> None:
    """Log loss against .45 of the best baseline; AUC's lower bound against -.005."""
    assert churn_verdict(table(metrics.LOG_LOSS, metrics.AUC, model, 0.45, low)).winner == winner


@pytest.mark.parametrize(("model", "winner"), [(10.0, MODEL), (13.0, "rival")])
def test_value_goes_to_the_smaller_deviance(model: float, winner: str) -> None:
    """Deviance against 12 of the best baseline, the ranking being equal."""
    assert value_verdict(table(metrics.DEVIANCE, metrics.NORMALISED_GINI, model, 12.0, 0.0)).winner == winner


def test_a_losing_model_is_named_with_the_reason() -> None:
    """The words say that it is registered and what it lost by."""
    why = churn_verdict(table(metrics.LOG_LOSS, metrics.AUC, 0.50, 0.45, 0.001)).why
    assert "registered, not promoted, because of its log loss" in why


def offers(low: float) -> MetricTable:
    contenders = (
        Contender(MODEL, "model", (MetricRow("ndcg@10", 0.26),)),
        Contender("own frequency", "baseline", (MetricRow("ndcg@10", 0.25),)),
        Contender("popularity", "baseline", (MetricRow("ndcg@10", 0.15),)),
    )
    differences = (Difference("ndcg@10", MODEL, "own frequency", 0.01, low, 0.02),)
    return MetricTable("mixed", 1_000, contenders, differences)


@pytest.mark.parametrize(("low", "winner"), [(0.001, MODEL), (-0.001, "own frequency")])
def test_offers_go_to_the_model_only_when_clearly_ahead(low: float, winner: str) -> None:
    """The whole interval of the paired difference must lie above zero."""
    assert offers_verdict(offers(low), "ndcg@10").winner == winner


def test_without_a_model_the_best_baseline_wins() -> None:
    """Where no trees could be grown."""
    whole = offers(0.1)
    assert offers_verdict(MetricTable("mixed", 9, whole.contenders[1:]), "ndcg@10").winner == "own frequency"
