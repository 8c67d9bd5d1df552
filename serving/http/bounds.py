"""What one connection may take of a worker's memory and time: heads, requests waiting in it, and slowness have bounds.

Without them one caller without a key could fill the memory by a head that never ends or by requests sent ahead of their
answers, and callers that stop in the middle (a till that lost its network) would keep their places under way for ever.
Uvicorn leaves all of this to a proxy.
"""

from asyncio import TimerHandle, Transport
from typing import Any
from uuid import uuid4

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.http.envelope import enveloped
from serving.http.problems import Problem
from serving.http.requests import LIMIT
from serving.http.whole import bytes_of

HEAD = 1 << 16
"""Longest head of a request, its first line and headers [bytes]; one more piece as read from the socket may pass."""

WHOLE_REQUEST = 8 * LIMIT
"""Longest request as it is sent [bytes]: a body of `LIMIT` in chunks of a byte needs six times as much."""

TIMEOUT = 30.0
"""How long a request may take to arrive once begun, a connection to send one, and a caller to take nothing [s]."""


REFUSALS = {
    "head-too-large": ("The head of the request is too large.", "", f"at most {HEAD} bytes", "Send fewer headers"),
    "too-large": ("The body is too large.", "", f"at most {LIMIT} bytes", "Send fewer events a request"),
    "too-slow": (
        "The request did not arrive in time.",
        "a part of it",
        f"all of it within {TIMEOUT:.0f} seconds",
        "Send it again: events and requests with an Idempotency-Key are kept once",
    ),
}
"""What a refusal says, found, expected and advises."""


class OneAtATime(FlowControl):
    """Reads no further while requests of the connection wait for the answers to those before them."""

    def __init__(self, transport: Transport, waiting: Any) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on, unless there is enough to do: then the request under way has arrived whole."""
        if not self._waiting:
            super().resume_reading()


class Bounded(HttpToolsProtocol):
    """Laid over a protocol by `bounded`; a request that arrives in one piece costs it nothing but a look."""

    _arrived = True
    _head = False
    _size = 0
    _late: TimerHandle | None = None
    _stuck: TimerHandle | None = None
    _under_way: RequestResponseCycle | None = None

    def connection_made(self, transport: Any) -> None:
        """A caller connects."""
        super().connection_made(transport)
        self.flow = OneAtATime(transport, self.pipeline)
        self._late = self.loop.call_later(TIMEOUT, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone: the request under way learns it, as uvicorn tells the newest of the connection alone."""
        self._forget_late()
        if self._stuck is not None:
            self._stuck.cancel()
        if self._under_way is not None and not self._under_way.response_complete:
            self._under_way.disconnected = True
            self._under_way.message_event.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request; the piece it came in may hold others and is not counted."""
        self._forget_late()
        self._arrived, self._head, self._size = False, True, -1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is read."""
        self._head = False
        before = self.cycle
        super().on_headers_complete()
        if len(self.pipeline) == 1:
            self._under_way = before

    def on_response_complete(self) -> None:
        """Its answer left; the next one that waits has its turn."""
        if self.pipeline:
            self._under_way = self.pipeline[-1][0]
        super().on_response_complete()

    def on_message_complete(self) -> None:
        """It has arrived."""
        self._forget_late()
        self._arrived = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request, a whole one, or several."""
        super().data_received(data)
        if self._arrived or self.transport.is_closing():
            return
        self._size = 0 if self._size < 0 else self._size + len(data)
        if self._size > (HEAD if self._head else WHOLE_REQUEST):
            self._end("head-too-large" if self._head else "too-large")
        elif self._late is None:
            self._late = self.loop.call_later(TIMEOUT, self._end, "too-slow")

    def pause_writing(self) -> None:
        """The caller does not take what is sent."""
        super().pause_writing()
        self._wait_for_taking()

    def resume_writing(self) -> None:
        """The caller took it."""
        if self._stuck is not None:
            self._stuck.cancel()
        super().resume_writing()

    def _wait_for_taking(self, left: int | None = None) -> None:
        """Go on while less of the answer is `left` each time [bytes]; who took nothing meanwhile is cut off."""
        now = self.transport.get_write_buffer_size()
        if left is not None and now >= left:
            self.transport.abort()
        else:
            self._stuck = self.loop.call_later(TIMEOUT, self._wait_for_taking, now)

    def _forget_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end(self, kind: str) -> None:
        """Refuse the request that is still arriving, where an answer to it is expected now, and close."""
        if self._awaited():
            answer = enveloped(Problem(kind, *REFUSALS[kind]), uuid4().hex, last=True)
            self.transport.write(bytes_of(answer))
        self.transport.close()
        self.loop.call_later(TIMEOUT, self.transport.abort)

    def _awaited(self) -> bool:
        """Whether the next answer to leave is that to the request still arriving."""
        cycle = self.cycle
        if self._head:
            return cycle is None or cycle.response_complete
        return not (self.pipeline or cycle.response_complete or cycle.response_started)


def bounded(protocol: type[HttpToolsProtocol]) -> type[HttpToolsProtocol]:
    """`protocol` within the bounds of this module."""
    return type("Bounded", (Bounded, protocol), {})
