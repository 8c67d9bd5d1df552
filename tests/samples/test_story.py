"""The story: who always takes a latte is offered the latte-based drink not tried yet."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from recsys.data import columns as c
from recsys.decisioning import OfferRequest, OffersAnswer, Serving, recommend
from recsys.decisioning.answers import Mode
from recsys.evaluation.offers_baselines import OWN_FREQUENCY, POPULARITY
from recsys.population.facts import PopulationSpec
from recsys.samples import cafe_truth
from recsys.samples.cafe import Cafe, simulate
from recsys.samples.menu import LATTE_REGULAR, MENU
from training.fits import MODEL
from training.offers import fit_offers
from training.served import offers_model
from training.tables import Pasts
from training.windows import WindowRules, first_order, plan_fit

HORIZON = 28
LATTES = {dish.product_id for dish in MENU if dish.family == "LATTE"}


@dataclass(frozen=True)
class Story:
    """A trained café: who asks, what each contender answers, what is true."""

    cafe: Cafe
    regulars: list[str]
    bought: dict[str, set[str]]
    answers: dict[str, dict[str, OffersAnswer]]
    chance: np.ndarray
    model: Serving

    def share(self, contender: str, holds: Callable[[str, list[str]], bool]) -> float:
        """Share of the regulars whose three offers satisfy `holds(customer, items)`."""
        offered = {who: [offer.item_id for offer in answer.offers] for who, answer in self.answers[contender].items()}
        return float(np.mean([holds(who, items) for who, items in offered.items()]))

    def truth(self, who: str) -> dict[str, float]:
        """P(buys item within the horizon) of a customer by item."""
        row = self.cafe.truth[c.CUSTOMER].index_of(who)
        return {dish.product_id: float(self.chance[row, i]) for i, dish in enumerate(MENU)}


@pytest.fixture(scope="module")
def story() -> Story:
    """900 customers, a year, offers fitted up to its end; regulars who still come and have a latte left to try."""
    cafe = simulate(21, 900)
    snapshot = cafe.snapshot()
    pasts = Pasts(snapshot, PopulationSpec(factors=16), threads=2)
    plan = plan_fit(first_order(snapshot.history), snapshot.as_of, WindowRules(HORIZON, most=2))
    fit = fit_offers(pasts, plan, seed=1, threads=2)
    past = pasts.at(snapshot.as_of)
    known = dict(cafe.transactions.group_by(c.CUSTOMER).agg(pl.col(c.PRODUCT).unique()).rows())
    bought = {who: set(items) for who, items in known.items()}
    recent = cafe.transactions.filter(pl.col(c.TIME) > snapshot.as_of - HORIZON * 86_400)[c.CUSTOMER].unique()
    latte = cafe.truth.filter(pl.col("segment") == LATTE_REGULAR, pl.col(c.CUSTOMER).is_in(recent.implode()))[
        c.CUSTOMER
    ]
    regulars = [who for who in latte if LATTES - bought[who]]
    answers = {}  # the model comes last among the contenders
    for each in fit.contenders:
        serving = Serving.of(past.snapshot, past.population, offers=offers_model(each.content))
        answers[each.name] = {
            who: recommend(serving, OfferRequest(who, 3, "new"), (), snapshot.as_of) for who in regulars
        }
    return Story(cafe, regulars, bought, answers, cafe_truth.buy_probability(cafe, cafe.days, HORIZON), serving)


def is_latte_untried(story: Story) -> Callable[[str, list[str]], bool]:
    """Whether a latte-based drink the customer never bought is among the offers."""
    return lambda who, items: any(item in LATTES and item not in story.bought[who] for item in items)


def test_latte_regulars_are_offered_a_latte_based_drink_they_never_bought(story: Story) -> None:
    """Nearly all latte regulars find a latte-based drink not tried yet among their three new offers."""
    assert story.share(MODEL, is_latte_untried(story)) > 0.9


@pytest.mark.parametrize("baseline", [POPULARITY, OWN_FREQUENCY])
def test_baselines_do_not_find_it(story: Story, baseline: str) -> None:
    """Popularity and own frequency offer it to hardly any of them: espresso and croissant come first."""
    assert story.share(baseline, is_latte_untried(story)) < 0.1


def test_nothing_new_was_bought_before(story: Story) -> None:
    """In mode `new` nobody is offered what they have bought."""
    assert story.share(MODEL, lambda who, items: not story.bought[who] & set(items)) == 1.0


def test_the_offers_are_what_the_customers_truly_want(story: Story) -> None:
    """By the exact probabilities the offers reach two thirds of what a clairvoyant could offer."""
    found, best = [], []
    for who, answer in story.answers[MODEL].items():
        chance = story.truth(who)
        found += [chance[offer.item_id] for offer in answer.offers]
        new = (chance[item] for item in chance if item not in story.bought[who] and item != "gift-card")
        best += sorted(new, reverse=True)[:3]
    assert sum(found) > 2 / 3 * sum(best)


@pytest.mark.parametrize(("mode", "tolerance"), [("new", 0.25), ("repeat", 0.1)])
def test_probabilities_are_true_on_average(story: Story, mode: Mode, tolerance: float) -> None:
    """Over all customers the probabilities of the three offers add up to what is true, new and repeated items alike."""
    as_of, customers = story.model.snapshot.as_of, story.cafe.truth[c.CUSTOMER]
    offered = {who: recommend(story.model, OfferRequest(who, 3, mode), (), as_of).offers for who in customers}
    true = sum(story.truth(who)[offer.item_id] for who, offers in offered.items() for offer in offers)
    assert sum(o.probability for offers in offered.values() for o in offers) == pytest.approx(true, rel=tolerance)
