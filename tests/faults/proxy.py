"""A TCP proxy in front of a database that breaks the connections on demand."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["pass", "stall", "down", "hole"]

NOTICED = 11.0
"""After so long a server's TCP keep-alive finds that the other side is gone, as a service sets it [s]."""


@dataclass(eq=False)
class _Pair:
    """One connection and what it leads to; `dark` when nothing passes any more, for good."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    dark: bool = False


class FaultProxy:
    """Forwards connections of a port of this machine to a Unix socket.

    `stall`: accepts and acknowledges everything, forwards nothing until it ends. `down`: every connection is reset, new
    ones at once. `hole`: as when a cable is pulled, neither side hears of the other again, not even that it left; what
    connects afterwards passes. `delay` [s] is how long each piece of an answer takes.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._mode: Mode = "pass"
        self._pairs: set[_Pair] = set()
        self._loop = asyncio.new_event_loop()
        self.port = 0
        self.delay = 0.0
        self._left = 0
        self._then: Mode = "pass"

    def set(self, mode: Mode) -> None:
        """Behave so from now on; `down` breaks what is connected, `hole` lets nothing of it pass again."""
        self._mode = mode
        if mode == "down":
            self.reset()
        if mode == "hole":
            self._do(self._darken())

    def arm(self, pieces: int, mode: Mode) -> None:
        """Let so many pieces pass, in both directions together, then behave as in `mode`."""
        self._left, self._then = pieces + 1, mode

    def disarm(self) -> bool:
        """Whether fewer pieces passed than that since."""
        armed, self._then = self._then != "pass", "pass"
        return armed

    def reset(self) -> None:
        """Break what is connected now; nothing sent after this passes on a connection made before."""
        self._do(self._abort())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _abort(self) -> None:
        for pair in list(self._pairs):
            pair.near.transport.abort()
            pair.far.transport.abort()
        await asyncio.sleep(0)  # sockets are closed by the loop's next round

    async def _count(self) -> None:
        """One piece is to pass; perhaps it is the one that does not."""
        if self._then == "pass":
            return
        self._left -= 1
        if self._left:
            return
        self._mode, self._then = self._then, "pass"
        if self._mode == "down":
            await self._abort()
        if self._mode == "hole":
            await self._darken()

    async def _darken(self) -> None:
        for pair in self._pairs:
            pair.dark = True

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "down":
            writer.transport.abort()
            return
        try:
            back, forth = await asyncio.open_unix_connection(self._upstream)
        except OSError:  # nobody listens there now
            writer.transport.abort()
            return
        pair = _Pair(writer, forth, dark=self._mode == "hole")
        self._pairs.add(pair)
        try:
            if self._mode == "down":  # since it was accepted
                await self._abort()
            pumps = self._pump(reader, forth, pair), self._pump(back, writer, pair)
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._pairs.discard(pair)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: _Pair) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._count()
                if self.delay and writer is pair.near:
                    await asyncio.sleep(self.delay)
                while self._mode == "stall":
                    await asyncio.sleep(0.01)
                if not pair.dark:
                    writer.write(data)
                    await writer.drain()
        if pair.dark:
            await asyncio.sleep(NOTICED)
        writer.close()

    def run(self, ready: threading.Event) -> None:
        """Forward until stopped; in a thread of its own."""
        self._serving = self._loop.create_task(self._serve(ready))
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serving)
        asyncio.set_event_loop(self._loop)
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        """End it with everything connected."""
        self.set("down")
        self._loop.call_soon_threadsafe(self._serving.cancel)


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """A proxy for the block."""
    proxy, ready = FaultProxy(upstream), threading.Event()
    thread = threading.Thread(target=proxy.run, args=(ready,), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()
