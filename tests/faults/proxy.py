"""A TCP proxy in front of a database that breaks the connections on demand."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Mode = Literal["pass", "stall", "down"]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FaultProxy:
    """Forwards connections of a port of this machine to a Unix socket.

    `stall`: accepts and acknowledges everything, forwards nothing. `down`: every connection is reset, new ones at once.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._mode: Mode = "pass"
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self.port = 0

    def set(self, mode: Mode) -> None:
        """Behave so from now on; `down` breaks what is connected."""
        self._mode = mode
        if mode == "down":
            self.reset()

    def reset(self) -> None:
        """Break what is connected now; nothing sent after this passes on a connection made before."""
        asyncio.run_coroutine_threadsafe(self._abort(), self._loop).result(10)

    async def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)  # sockets are closed by the loop's next round

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
        back, forth = await asyncio.open_unix_connection(self._upstream)
        self._writers |= {writer, forth}
        try:
            if self._mode == "down":  # since it was accepted
                await self._abort()
            await asyncio.gather(self._pump(reader, forth), self._pump(back, writer), return_exceptions=True)
        finally:
            self._writers -= {writer, forth}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                while self._mode == "stall":
                    await asyncio.sleep(0.01)
                writer.write(data)
                await writer.drain()
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
