"""The overview over HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from infermesh.errors import InfermeshError
from infermesh.overview.server import serving
from support import overviews


def served(folder: Path, ask: Callable[[aiohttp.ClientSession, str], Awaitable[None]]) -> None:
    """Do something with a server of a page that is one line."""
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<p>the page</p>")
    (folder / "assets" / "a-1.js").write_text("1")

    async def run() -> None:
        async with serving(overviews.well, static=folder) as url, aiohttp.ClientSession() as session:
            await ask(session, url)

    asyncio.run(run())


def test_a_page_brings_a_policy_along(tmp_path: Path) -> None:
    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(url) as answer:
            assert (answer.status, await answer.text()) == (200, "<p>the page</p>")
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cache-control"] == "no-cache"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        async with session.get(f"{url}assets/a-1.js") as answer:
            assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
            assert "immutable" in answer.headers["cache-control"]

    served(tmp_path, ask)


@pytest.mark.parametrize("path", ["nothing", "assets/%2e%2e/index.html", "..%2f..%2fetc/passwd", "assets/"])
def test_nothing_else_is_there(tmp_path: Path, path: str) -> None:
    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(url + path) as answer:
            assert answer.status in (200, 404)
            assert answer.status == 404 or await answer.text() == "<p>the page</p>"

    served(tmp_path, ask)


def test_the_overview_is_json(tmp_path: Path) -> None:
    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}api/overview") as answer:
            assert answer.content_type == "application/json"
            told = await answer.json()
        assert [it["name"] for it in told["workloads"]] == ["checkout", "search", "fraud", "ranking"]

    served(tmp_path, ask)


def test_a_stream_brings_one_after_another(tmp_path: Path) -> None:
    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}api/stream") as answer:
            assert answer.content_type == "text/event-stream"
            found = []
            async for line in answer.content:
                if line.startswith(b"data: "):
                    found.append(json.loads(line.removeprefix(b"data: "))["at"])
                if len(found) == 2:
                    break
            assert found[0] < found[1]

    served(tmp_path, ask)


@pytest.mark.parametrize(("host", "status"), [("mesh.example", 403), ("localhost:1", 200), ("[::1]", 200)])
def test_it_is_not_reached_by_a_name_of_somebody_else(tmp_path: Path, host: str, status: int) -> None:
    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(f"{url}api/overview", headers={"Host": host}) as answer:
            assert answer.status == status

    served(tmp_path, ask)


def test_a_page_that_was_not_built_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(overviews.well, static=tmp_path) as url, aiohttp.ClientSession() as session:
            async with session.get(url) as answer:
                assert answer.status == 503
                assert "make page" in await answer.text()
            async with session.get(f"{url}api/overview") as answer:
                assert answer.status == 200

    asyncio.run(run())


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(overviews.well, static=tmp_path) as url:
            port = int(url.rsplit(":", 1)[1].strip("/"))
            with pytest.raises(InfermeshError, match=f"127.0.0.1:{port}"):
                async with serving(overviews.well, port=port, static=tmp_path):
                    pass

    asyncio.run(run())
