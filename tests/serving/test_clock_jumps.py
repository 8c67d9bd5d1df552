"""A clock that jumps by hours while it answers: nothing lost, no id twice, nobody locked out."""

import time

from tests.faults.clocks import jumps


def test_a_service_whose_clock_jumps_goes_on(make_workspace):
    """Five hours ahead, then five behind: what was acknowledged is there; limits, kept answers and keys hold."""
    seen = jumps(make_workspace().directory, (5, -5), seconds=0.5)
    assert min(seen.events, seen.decisions) > 0
    wrong = {name: count for name, count in vars(seen).items() if name not in {"events", "decisions"} and count}
    assert wrong == {}


def test_purchases_under_a_wrong_clock_count_when_it_is_reached(make_workspace, serve, purchase, monkeypatch):
    """What was reported hours ahead lies in the future of a clock set back; nothing of it is lost or numbered twice."""
    service, real, moved = serve(make_workspace(clock="now")), time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + moved[0])
    seen = []
    for number, hours in enumerate((0, 5, -5, 0)):
        moved[0] = hours * 3600.0
        assert service.report(purchase(f"e{number}")).json()["accepted"] == 1
        seen.append(service.http.get("/v1/customers/ann").json()["orders"])
    moved[0] = 5 * 3600.0
    seen.append(service.http.get("/v1/customers/ann").json()["orders"])
    assert seen == [4, 5, 4, 6, 7]


def test_decisions_have_ids_of_their_own_whatever_the_clock_says(make_workspace, serve, monkeypatch):
    """The same instant twice, and instants out of order, make no id twice."""
    service, now = serve(make_workspace(clock="now")), [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    ids = set()
    for hours in (0, 0, 5, -10, 5):
        now[0] += hours * 3600.0
        ids.add(service.offers()["decision_id"])
    assert len(ids) == 5
