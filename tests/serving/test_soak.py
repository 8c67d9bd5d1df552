"""The soak in seconds: a rate kept without errors, times counted from when a request was due."""

import asyncio
import json
import os
import time
from collections import Counter
from itertools import repeat
from threading import Thread

import pytest

from tests.faults import soak
from tests.faults.soak_client import MOMENT, Busy, Client, quantile, requests_of, used_by


def test_seconds_at_a_share_of_the_peak_have_no_error(make_workspace, monkeypatch):
    """The run of half an hour, shortened and gentle: each request has its end, and none of them is an error."""
    monkeypatch.setattr(soak, "SHARE", 0.05)  # what a machine bears that has other things to do
    monkeypatch.setattr(soak, "BUSY", 0.05)
    monkeypatch.setattr(soak, "BURST", 0.5)
    found = soak.soak(make_workspace().directory, 4.0, stretch=2.0)
    figures = soak.figures_of(found, 0.07)
    # A machine that stalls: too many wait at once, for the client or, refused as it says, for the service.
    errors = Counter[str]()
    for seen in found.seen:
        errors.update(seen["errors"])
    unsent = sum(errors.pop(each, 0) for each in ("ConnectionError", "503"))
    answered = sum(len(seen["times"]) for seen in found.seen)
    assert (dict(errors), answered + unsent) == ({}, sum(found.rates))
    assert {each["name"].partition(": ")[2] for each in figures if each["asked"]} == {
        "errors",
        "p99 from the time a request was due",
        "growth of memory without files",
        "requests a second sent, mean, of the mean peak",
    }


def test_a_service_that_stalls_is_not_asked_less():
    """Eight requests an eighth of a second apart, the server silent for the first second: all of them saw the stall."""
    client = Client(0, ["ann"])

    async def served() -> None:
        begun = []

        async def answer(reader, writer):
            while await reader.readuntil(b"\r\n\r\n"):
                begun.append(time.perf_counter())
                await asyncio.sleep(max(0.0, 1.0 - (begun[-1] - begun[0])))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        client._port = server.sockets[0].getsockname()[1]
        client._requests = iter([b"GET / HTTP/1.1\r\n\r\n"] * 8)
        await client.hold(lambda _answered, _failed: 8.0, 1.0)

    asyncio.run(served())
    waits = sorted(client.times)
    assert (len(waits), dict(client.errors)) == (8, {})
    assert all(took > 100 * rank for rank, took in enumerate(waits, 1))


def paces(*moments: tuple[int, float], seconds: float = MOMENT, share: float = 0.5, failing: int = 0) -> list[float]:
    """The rate after each moment, of so many answers and so much time of the processor each [ms]; so many fail."""
    now = used = 0.0
    answered = failed = 0
    pace = Busy(share, 700.0, (100.0, 1_500.0), lambda: used, lambda: now)
    rates = []
    for more, milliseconds in moments:
        now, used, answered = now + seconds, used + milliseconds / 1000, answered + more
        failed += failing
        rates.append(pace(answered, failed))
    return rates


def test_the_pace_is_a_share_of_what_the_thread_can_do_now():
    """Of 100 answers that took 50 ms of the processor 2,000 fit into a second, then of 30 ones 600."""
    assert paces((100, 50.0), *[(30, 50.0)] * 3) == pytest.approx([1_000.0, 650.0, 300.0, 300.0])


def test_moments_of_a_stall_do_not_change_the_pace():
    """Neither two in which answers took ten times as long nor two in which those that had waited left at once."""
    usual = [(100, 50.0)] * 3
    stalled = paces(*usual, (10, 50.0), (10, 50.0)) + paces(*usual, (900, 50.0), (900, 50.0))
    assert stalled == pytest.approx([1_000.0] * 10)


def test_refusals_do_not_raise_the_pace():
    """Of 40 answers and 400 refusals that took 50 ms together 800 answers fit into a second; of none not one."""
    assert (paces((40, 50.0), failing=400), paces((0, 50.0), failing=400)) == ([400.0], [100.0])


def test_the_pace_stays_within_its_bounds():
    """However dear or cheap answers are."""
    assert (paces((1, 90.0)), paces((900, 1.0))) == ([100.0], [1_500.0])


def test_a_thread_that_stands_still_is_asked_as_before():
    """No answer tells nothing of the machine, so the rate stays."""
    assert paces((0, 90.0), (0, 0.0)) == [700.0, 700.0]


def test_the_pace_is_changed_by_whole_moments_only():
    """Half a moment after the last reading the rate is still the former one."""
    assert paces((100, 5.0), seconds=MOMENT / 2) == [700.0]


def test_the_time_used_is_that_of_the_first_thread():
    """What this thread burnt is found for its process, what another one burnt is not."""
    before, own = used_by(os.getpid()), time.thread_time()
    thread = Thread(target=burn, args=(0.2,))
    thread.start()
    thread.join()
    burn(0.1)
    assert used_by(os.getpid()) - before == pytest.approx(time.thread_time() - own, abs=0.03)


def burn(seconds: float) -> None:
    """Use so much time of the processor in this thread."""
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        pass


def test_the_worker_is_kept_as_busy_as_the_share_of_the_peak_takes():
    """Busy for .75 of the time it answered 1,500 a second, of a peak of 2,000: .7 of that need a fifteenth less."""
    assert soak._busy([1_900.0, 2_100.0], [1_500.0], [0.75]) == pytest.approx(0.7)


def test_the_mix_is_mostly_offers_with_some_scores_and_purchases():
    """Ninety, eight and two in a hundred; each purchase under an id of its own."""
    asked = [each for each, _ in zip(requests_of(["ann", "bob"]), range(100), strict=False)]
    counts = [sum(part in each for each in asked) for part in (b"/v1/recommendations", b"/scores", b"/v1/events")]
    ids = {
        json.loads(each.partition(b"\r\n\r\n")[2])["events"][0]["event_id"] for each in asked if b"/v1/events" in each
    }
    assert (counts, len(ids)) == ([90, 8, 2], 2)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 51.0), (0.99, 100.0), (1.0, 100.0)])
def test_a_quantile_is_a_time_that_was_seen(share, expected):
    """Of 1 to 100 the 99% quantile is the hundredth: no time between two is made up."""
    assert quantile([float(each) for each in range(100, 0, -1)], share) == expected


def test_the_peak_is_told_second_by_second(monkeypatch):
    """A run of two parts has two rates, in which nothing that was answered before its end is missing."""
    monkeypatch.setattr("tests.faults.soak_client.SECOND", 0.5)
    client = Client(0, ["ann"])

    async def served() -> None:
        async def answer(reader, writer):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(0.08)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        client._port = server.sockets[0].getsockname()[1]
        client._requests = repeat(b"GET / HTTP/1.1\r\n\r\n")
        await client.peak(1.0)

    asyncio.run(served())
    assert len(client.rates) == 2
    assert 0 < sum(client.rates) * 0.5 <= len(client.times)  # parts are never shorter, answers may come after the end
