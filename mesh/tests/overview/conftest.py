"""Processes that say what real ones have said: `recorded` has two looks at a server and a sidecar."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

RECORDED = Path(__file__).with_name("recorded")

#: What is asked, and the file that has what was answered.
FILES = {
    "/stats": "stats.json",
    "/metrics": "sidecar.txt",
    "/server/metrics": "server.txt",
    "/v2/repository/index": "index.json",
}


class Recorded:
    """A server and a sidecar, at one URL, at one moment."""

    def __init__(self) -> None:
        self.url = ""
        self.moment = "before"
        #: Answers in place of those that were recorded.
        self.instead: dict[str, str] = {}
        #: Paths that are not answered.
        self.hanging: set[str] = set()
        self._released = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Recorded"]:
        """For as long as the block lasts."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._released.set()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path in self.hanging:
            await self._released.wait()
        if request.path == "/v2/health/ready":
            return web.Response(status=400 if self.instead.get(request.path) else 200)
        text = self.instead.get(request.path)
        return web.Response(text=text or (RECORDED / self.moment / FILES[request.path]).read_text())


@pytest.fixture
def recorded() -> Recorded:
    """Not running yet."""
    return Recorded()
