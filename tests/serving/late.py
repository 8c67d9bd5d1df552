"""A store that does what it is asked, too late for the answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Signal

import httpx
import pytest

from serving.http import asking
from tests.serving.test_state import wait_for


@contextmanager
def too_late(monkeypatch: pytest.MonkeyPatch, store: type, method: str) -> Iterator[None]:
    """In the block the method of a store ends its work and returns only after the block."""
    go, real = Signal(), getattr(store, method)

    def late(*arguments: object) -> object:
        done = real(*arguments)
        go.wait(30)
        return done

    try:
        with monkeypatch.context() as slow:
            slow.setattr(store, method, late)
            slow.setattr(asking, "WITHIN", 0.3)
            yield
    finally:
        go.set()


def answered_again(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The first answer of a service that knows again that its database answers."""
    seen: list[httpx.Response] = []

    def again() -> bool:
        seen.append(ask())
        return seen[-1].status_code != 503

    assert wait_for(again)
    return seen[-1]
