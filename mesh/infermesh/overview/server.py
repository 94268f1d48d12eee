"""Serves an overview over HTTP on this machine: as a page, as JSON, and as a stream of events."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from infermesh.errors import InfermeshError
from infermesh.overview.collect import EVERY_SECONDS
from infermesh.overview.page import HEADERS, STATIC, files
from infermesh.overview.view import Overview, text

_UNBUILT = "The page has not been built: run `make page`. /api/overview and /api/stream are there."

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    overview: Callable[[], Overview], host: str = "127.0.0.1", port: int = 0, static: Path = STATIC
) -> AsyncIterator[str]:
    """The page's URL, for as long as the block lasts; `overview` has the newest.

    Raises InfermeshError if the port cannot be had.
    """
    pages = _Pages(overview, static)
    runner = web.AppRunner(pages.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise InfermeshError(f"the page cannot be served on {host}:{port}: {error.strerror}") from error
        yield f"http://{host}:{runner.addresses[0][1]}/"
    finally:
        pages.closing.set()
        await runner.cleanup()


class _Pages:
    def __init__(self, overview: Callable[[], Overview], static: Path) -> None:
        self._overview = overview
        # Read once: what is there is known, and no path of a request comes near the file system.
        self._files = {it.url_path: it for it in files(static)}
        self.closing = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[_guard])
        app.router.add_get("/api/overview", self._json)
        app.router.add_get("/api/stream", self._stream)
        app.router.add_get("/{path:.*}", self._file)
        return app

    async def _json(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(
            text=text(self._overview()),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(
            headers={**HEADERS, "Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await stream.prepare(request)
        # Who went away is no news.
        with suppress(ConnectionResetError):
            while not self.closing.is_set():
                await stream.write(f"data: {text(self._overview())}\n\n".encode())
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.closing.wait(), EVERY_SECONDS)
        return stream

    async def _file(self, request: web.Request) -> web.StreamResponse:
        if not self._files:
            return web.Response(status=503, text=_UNBUILT)
        if (file := self._files.get(request.path)) is None:
            return web.Response(status=404, text=f"There is nothing at {request.path}.")
        return web.Response(body=file.path.read_bytes(), headers=file.headers)


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what comes by another name: a page from elsewhere could make a name of its own lead here."""
    if not _is_loopback(request.host):
        response: web.StreamResponse = web.Response(
            status=403, text=f"Found host {request.host!r}, expected localhost or an address of loopback."
        )
    else:
        response = await handler(request)
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
