"""More requests than a worker takes on: some are refused at once, the others answered."""

import asyncio

import pytest

from serving.http.admission import Admission


class Held:
    """An application whose answers wait for `go`."""

    def __init__(self) -> None:
        self.go, self.answered = asyncio.Event(), 0

    async def __call__(self, scope, receive, send) -> None:
        await self.go.wait()
        self.answered += 1


async def asked(admission: Admission, path: str, sent: list) -> None:
    """One request; what is sent for it."""

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "state": {"request_id": "r"}}
    await admission(scope, None, send)


async def flood(limit: int, paths: list[str]) -> tuple[int, list[list], list[int]]:
    """Ask for all paths at once: how many the application answered, what the others got, and the counts told."""
    held, told = Held(), []
    admission = Admission(held, limit, told.append)
    sents = [[] for _ in paths]
    asking = [asyncio.create_task(asked(admission, path, sent)) for path, sent in zip(paths, sents, strict=True)]
    for _ in range(5):
        await asyncio.sleep(0)
    held.go.set()
    await asyncio.gather(*asking)
    return held.answered, [sent for sent in sents if sent], told


def test_what_is_beyond_the_bound_is_refused_at_once():
    """Five at once where two are taken on: two answers, three 503 that say when to come again."""
    answered, refused, _ = asyncio.run(flood(2, ["/v1/recommendations"] * 5))
    starts = [(sent[0]["status"], (b"retry-after", b"1") in sent[0]["headers"]) for sent in refused]
    assert (answered, starts) == (2, [(503, True)] * 3)


@pytest.mark.parametrize("path", ["/health/ready", "/health/live", "/metrics"])
def test_health_and_metrics_are_answered_all_the_same(path):
    """Under overload one still sees how it is."""
    answered, refused, _ = asyncio.run(flood(1, ["/v1/models", path, path]))
    assert (answered, refused) == (3, [])


def test_the_count_goes_up_and_down_again():
    """Requests under way are told; none is left when all are answered."""
    _, _, told = asyncio.run(flood(2, ["/v1/models"] * 3))
    assert (max(told), told[-1]) == (2, 0)


def test_a_request_that_fails_is_no_longer_under_way():
    """An error frees its place."""

    async def broken(scope, receive, send) -> None:
        raise RuntimeError

    told = []
    admission = Admission(broken, 1, told.append)
    with pytest.raises(RuntimeError):
        asyncio.run(asked(admission, "/v1/models", []))
    assert told == [1, 0]
