"""Challengers: live requests scored again, unseen, without being in the way of an answer."""

import shutil
import threading

import numpy as np
import pytest

from recsys.data.files import replace_text
from recsys.errors import DamagedBundle
from recsys.models.bundle import write_bundle
from recsys.models.refusal import forget_refusal, note_refusal
from recsys.testing.published import linear_content
from serving.answers import open_answers
from serving.challengers import Challengers
from serving.http.metrics import Metrics
from serving.shadow import WAITING, Rated, Shadow, overlap, rank_correlation
from tests.faults.bad_bundles import write_good
from tests.serving.test_state import wait_for


def challenge(workspace, name: str, version: str = "2", seed: int = 9) -> None:
    """Put a challenger into the cache."""
    write_bundle(workspace.bundles / name / version, linear_content(name, seed))
    replace_text(workspace.bundles / name / "challenger", version)


def told(service) -> dict:
    """What is told of the challengers."""
    return service.http.get("/v1/shadow").json()


@pytest.fixture
def challenged(make_workspace, serve):
    """A service whose offers and churn are challenged, every customer looked at."""
    workspace = make_workspace(shadow_share=1.0)
    for name in ("offers", "churn"):
        challenge(workspace, name)
    service = serve(workspace)
    assert wait_for(lambda: len(told(service)["challengers"]) == 2)
    return service


def test_what_a_challenger_would_answer_is_told(challenged):
    """Overlap, rank correlation and scores of live requests appear beside the versions."""
    for _ in range(3):
        challenged.offers()
    assert wait_for(lambda: told(challenged)["challengers"][0]["requests"] == 3)
    offers = told(challenged)["challengers"][0]
    assert (offers["name"], offers["champion"][:2], offers["challenger"][:2]) == ("offers", "1-", "2-")
    assert 0 <= offers["overlap"] <= 1
    assert -1 <= offers["rank_correlation"] <= 1


def test_the_difference_is_that_of_the_two_models(challenged):
    """One scores request; afterwards the challenger is made champion, and answers what was told of it."""
    shown = challenged.scores()["churn"]["probability"]
    assert wait_for(lambda: told(challenged)["challengers"][1]["requests"] == 1)
    churn = told(challenged)["challengers"][1]
    as_champion = served(challenged, "churn", challenged.scores, lambda said: said["churn"])["churn"]["probability"]
    expected = tuple(map(pytest.approx, (shown, as_champion, abs(as_champion - shown))))
    assert as_champion != shown
    assert (churn["champion_score"], churn["challenger_score"], churn["difference"]) == expected


def test_overlap_and_correlation_are_those_of_the_two_models(challenged):
    """Two offers of five are asked for; afterwards the challenger is made champion, and ranks as was told of it."""

    def ask():
        return challenged.offers(n=2)

    shown = ranked(challenged, ask())
    assert wait_for(lambda: told(challenged)["challengers"][0]["requests"] == 1)
    offers = told(challenged)["challengers"][0]
    as_champion = ranked(challenged, served(challenged, "offers", ask, lambda said: said))
    places = [[order.index(item) for item in sorted(shown)] for order in (shown, as_champion)]
    expected = len({*shown[:2]} & {*as_champion[:2]}) / 2, np.corrcoef(*places)[0, 1]
    assert shown != as_champion
    assert (offers["overlap"], offers["rank_correlation"]) == tuple(map(pytest.approx, expected))


def served(service, name, ask, part):
    """The answer of the challenger of a model once it is the champion; `part` of an answer names the version."""
    (service.workspace.bundles / name / "challenger").unlink()
    replace_text(service.workspace.bundles / name / "champion", "2")
    assert wait_for(lambda: part(ask())["model_version"].startswith("2-"))
    return ask()


def ranked(service, answer):
    """All items that were ranked for an answer, best first, as its record has them."""
    found = service.http.get(f"/v1/decisions/{answer['decision_id']}").json()["candidates"]
    return [each["item_id"] for each in found]


def test_a_challenger_is_never_shown(challenged):
    """Every answer is the champion's."""
    assert challenged.offers()["model_version"].startswith("1-")
    assert challenged.scores()["churn"]["model_version"].startswith("1-")


def test_a_challenge_can_be_withdrawn(challenged):
    """Without the pointer nothing challenges any more."""
    for name in ("offers", "churn"):
        (challenged.workspace.bundles / name / "challenger").unlink()
    assert wait_for(lambda: told(challenged)["challengers"] == [])


def test_a_broken_challenger_is_refused_and_answers_go_on(make_workspace, serve):
    """Told with the reason; readiness stays ok, for nothing that serves is wrong."""
    workspace = make_workspace(shadow_share=1.0)
    challenge(workspace, "churn")
    (workspace.bundles / "churn" / "2" / "churn.json").write_text("{}")
    service = serve(workspace)
    assert wait_for(lambda: "churn" in told(service)["refused"])
    assert (service.http.get("/health/ready").json()["status"], told(service)["challengers"]) == ("ok", [])


def test_a_challenger_that_is_missing_is_refused(make_workspace, serve):
    """A pointer to nothing challenges nothing."""
    workspace = make_workspace()
    challenge(workspace, "churn")
    shutil.rmtree(workspace.bundles / "churn" / "2")
    service = serve(workspace)
    assert wait_for(lambda: "churn" in told(service)["refused"])


def test_a_challenger_that_was_never_taken_over_is_told(make_workspace, serve):
    """Whoever pulls refused it: why is told until it is wanted no more."""
    workspace = make_workspace()
    service, folder = serve(workspace), workspace.bundles / "churn"
    told = lambda: service.http.get("/v1/shadow").json()["refused"]  # noqa: E731
    note_refusal(folder, "challenger", "9", DamagedBundle("churn.json is damaged"))
    assert wait_for(lambda: told() == {"churn": "churn.json is damaged."})
    forget_refusal(folder, "challenger")
    assert wait_for(lambda: told() == {})


def test_a_challenger_is_opened_by_a_thread_that_stands_back(make_workspace, monkeypatch):
    """It rests after each of its thirty trees, for answers leave meanwhile."""
    workspace, rests = make_workspace(), []
    monkeypatch.setattr("recsys.models.pacing.time.sleep", rests.append)
    write_good(workspace.bundles / "churn" / "2", 2)
    replace_text(workspace.bundles / "churn" / "challenger", "2")
    champions = open_answers(workspace)
    before = len(rests)
    Challengers(workspace, attempt=lambda *_: None).refresh(champions)
    assert (before, len(rests)) == (0, 30)


class Broken:
    """Answers that can't be computed."""

    def score(self, *_given, **_more):
        raise ZeroDivisionError


class Slow:
    """Answers that wait."""

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), threading.Event()

    def score(self, *_given, **_more):
        self.asked.set()
        self.go.wait(30)
        raise ZeroDivisionError


def shadow_over(answers, share: float = 1.0) -> tuple[Shadow, list[str]]:
    """A shadow whose challenger is `answers`, and the fates it counts."""
    from serving.challengers import Challenging

    fates: list[str] = []
    challengers = Challengers(None, current=Challenging("champions", answers, {"churn": "2-x"}))
    return Shadow(challengers, share, 1, lambda _seen: None, fates.append), fates


def rated(customer: str = "ann") -> Rated:
    """A scores answer of the champions."""
    return Rated("champions", customer, (), 0, None)


def test_a_failing_challenger_is_counted_and_nothing_else():
    """The thread lives on."""
    shadow, fates = shadow_over(Broken())
    shadow.look(rated())
    shadow.look(rated())
    assert wait_for(lambda: fates == ["failed", "failed"])
    shadow.stop()


def test_requests_are_dropped_when_too_many_wait():
    """Looking never waits: what has no place is counted."""
    slow = Slow()
    shadow, fates = shadow_over(slow)
    shadow.look(rated())
    slow.asked.wait(30)
    for _ in range(WAITING + 5):
        shadow.look(rated())
    dropped = fates.count("dropped")
    slow.go.set()
    shadow.stop()
    assert dropped == 5


def test_a_share_of_the_customers_is_looked_at():
    """About a quarter, always the same ones."""
    shadow, _ = shadow_over(None, 0.25)
    chosen = [customer for customer in range(4_000) if shadow._chosen(str(customer))]
    again = [customer for customer in range(4_000) if shadow._chosen(str(customer))]
    assert (chosen == again, 880 < len(chosen) < 1_120) == (True, True)


def test_answers_of_another_state_are_not_compared():
    """After a swap the challenger stands beside other champions: what was answered before is left out."""
    shadow, fates = shadow_over(Broken())
    shadow.look(Rated("former champions", "ann", (), 0, None))
    shadow.look(rated())
    assert wait_for(lambda: fates == ["failed"])
    shadow.stop()


@pytest.mark.parametrize(
    ("order", "expected"), [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], -1.0), ([2, 1, 4, 3], 0.6), ([7], 1.0), ([], 1.0)]
)
def test_rank_correlation_is_spearmans(order, expected):
    """Hand-computed: 1 - 6 Σd² / (n (n² - 1))."""
    assert rank_correlation(np.array(sorted(order)), np.array(order)) == pytest.approx(expected)


@pytest.mark.parametrize(("other", "expected"), [([1, 2], 1.0), ([2, 3], 0.5), ([3, 4], 0.0)])
def test_overlap_is_the_share_of_the_champions_offers(other, expected):
    """Counted by hand."""
    assert overlap(np.array([1, 2]), np.array(other)) == expected


def test_sums_add_up_label_by_label():
    """Counts of one label, observations of another."""
    metrics = Metrics()
    metrics.shadow.labels("dropped").inc(2)
    metrics.shadow.labels("scored").inc(3)
    assert metrics.sums("barista_shadow_requests_total") == {("dropped",): 2.0, ("scored",): 3.0}
