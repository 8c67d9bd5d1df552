"""One customer's state → candidates → ranking → scores → reasons; the same for a request, a night's batch, a replay."""

from recsys.decisioning.answers import (
    ChurnScore,
    Novelty,
    Offer,
    OfferContext,
    OfferRequest,
    OffersAnswer,
    Reason,
    ScoresAnswer,
    ValueScore,
)
from recsys.decisioning.recommend import Ranking, rank, recommend
from recsys.decisioning.scores import score
from recsys.decisioning.serving import Serving

__all__ = [
    "ChurnScore",
    "Novelty",
    "Offer",
    "OfferContext",
    "OfferRequest",
    "OffersAnswer",
    "Ranking",
    "Reason",
    "ScoresAnswer",
    "Serving",
    "ValueScore",
    "rank",
    "recommend",
    "score",
]
