"""What is told of challengers: means over what all workers of this service have seen, read from their metrics."""

from typing import Literal

from msgspec import Struct

from serving.http.metrics import Metrics
from serving.http.service import Service


class ChallengerBody(Struct, frozen=True):
    """A challenger beside the champion, means over the live requests it scored too, unseen; null before the first.

    `overlap` is the share of the champion's offers it would have made, `rank_correlation` Spearman's over all
    candidates (offers only). The scores are the mean probability of the offers made, the churn probability or the
    expected spend [currency]; `difference` is the mean of how far the two are apart.
    """

    name: Literal["offers", "churn", "value"]
    champion: str
    challenger: str
    requests: int
    overlap: float | None
    rank_correlation: float | None
    champion_score: float | None
    challenger_score: float | None
    difference: float | None


class ShadowBody(Struct, frozen=True):
    """What challengers would answer: since this service started, by all its workers.

    `share` of the customers are looked at; `dropped` requests came while too many waited, `failed` ones are logged.
    `refused` says why a challenger is not used.
    """

    share: float
    scored: int
    dropped: int
    failed: int
    challengers: tuple[ChallengerBody, ...]
    refused: dict[str, str]


def shadow_body(service: Service, metrics: Metrics) -> ShadowBody:
    """The body of `GET /v1/shadow`."""
    shadow = service.shadow
    fates = metrics.sums("barista_shadow_requests_total")
    champions, current = service.state.current().versions, shadow.challengers.current
    pairs = current.versions if current is not None else {}
    counts = {fate: int(fates.get((fate,), 0)) for fate in ("scored", "dropped", "failed")}
    bodies = tuple(_body(metrics, name, champions.get(name, ""), version) for name, version in pairs.items())
    return ShadowBody(shadow.share, **counts, challengers=bodies, refused=shadow.challengers.refused)


def _body(metrics: Metrics, name: str, champion: str, challenger: str) -> ChallengerBody:
    pair = (challenger, name)  # label values stand in the order of the labels' names
    n = int(metrics.sums("barista_shadow_difference_count").get(pair, 0))
    score = "barista_shadow_score"
    distance = _mean(metrics, "barista_shadow_rank_distance", pair)
    return ChallengerBody(
        name,  # type: ignore[arg-type]
        champion,
        challenger,
        n,
        _mean(metrics, "barista_shadow_overlap", pair),
        None if distance is None else 1.0 - distance,
        _mean(metrics, score, ("champion", *pair)),
        _mean(metrics, score, ("challenger", *pair)),
        _mean(metrics, "barista_shadow_difference", pair),
    )


def _mean(metrics: Metrics, name: str, labels: tuple[str, ...]) -> float | None:
    """Mean of a histogram's observations; None without any."""
    count = metrics.sums(f"{name}_count").get(labels, 0.0)
    return metrics.sums(f"{name}_sum")[labels] / count if count else None
