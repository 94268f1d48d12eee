"""The live page of a sidecar: a real process, looked at as browsers do, and from elsewhere."""

import asyncio
import http.client
import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from infermesh.overview.page import STATIC
from support.devtools import opened
from support.echo_app import ask, echoing
from support.sidecar import SECONDS, Sidecar, write_config


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    """One whose app, and the only service that it calls, answer everything. It is reached from everywhere."""
    with echoing() as app:
        settings = {
            "name": "checkout",
            "tls": "off",
            "admin": "0.0.0.0:0",
            "services": {"payments": {"endpoints": f"127.0.0.1:{app}", "protocol": "http1", "breaker": True}},
            "inbound": {"listen": "127.0.0.1:0", "app": f"127.0.0.1:{app}"},
            "outbound": {"listen": "127.0.0.1:0"},
        }
        sidecar = Sidecar("--config", write_config(tmp_path, **settings))
        try:
            sidecar.wait_for("sidecar-ready")
            yield sidecar
        finally:
            sidecar.kill()


def get(
    sidecar: Sidecar, path: str, headers: dict[str, str] | None = None, address: str = "127.0.0.1"
) -> tuple[int, http.client.HTTPMessage, str]:
    """Status, headers and body of an answer of the admin endpoint."""
    with closing(http.client.HTTPConnection(address, sidecar.port("admin"), timeout=SECONDS)) as connection:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def overview(sidecar: Sidecar) -> Any:
    status, _, body = get(sidecar, "/api/overview")
    assert status == 200, body
    return json.loads(body)


def looks(sidecar: Sidecar) -> Iterator[Any]:
    """One overview after another, to the end of the stream."""
    url = f"http://127.0.0.1:{sidecar.port('admin')}/api/stream"
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


def test_browsers_are_shown_a_page_and_others_the_list(sidecar: Sidecar) -> None:
    assert (STATIC / "index.html").exists(), "the page has not been built: make page"
    status, headers, body = get(sidecar, "/", {"Accept": "text/html,*/*;q=0.8"})
    assert (status, body) == (200, (STATIC / "index.html").read_text())
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    for asset in (STATIC / "assets").iterdir():
        status, headers, body = get(sidecar, f"/assets/{asset.name}")
        assert (status, body) == (200, asset.read_text())
        assert "immutable" in headers["cache-control"]
    status, headers, body = get(sidecar, "/", {"Accept": "*/*"})
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert "GET  /api/overview" in body
    assert get(sidecar, "/assets/%2e%2e/index.html")[0] == 404


def test_it_sees_who_calls_and_who_is_called(sidecar: Sidecar) -> None:
    pictures = looks(sidecar)
    first = next(pictures)
    assert (first["name"], first["scope"]) == ("checkout", "sidecar")
    assert ask(sidecar.port("inbound"), "/orders", {"a": 1})[0] == 200
    assert ask(sidecar.port("outbound"), "/pay", {"a": 1})[0] == 200
    second = next(it for it in pictures if all(edge["traffic"]["success"] for edge in it["edges"]))
    assert second["at"] - first["at"] > 0.9
    assert [(it["source"], it["target"]) for it in second["edges"]] == [
        ("*", "checkout"),
        ("checkout", "payments"),
    ]
    into, out = second["edges"]
    assert into["traffic"]["rate"] > 0
    assert out["breaker"] == "closed"
    assert [it["is_available"] for it in out["endpoints"]] == [True]
    assert second["workloads"][0]["instances"][0]["state"] == "ready"


def test_however_many_look_it_is_made_once_a_second(sidecar: Sidecar) -> None:
    one, another = looks(sidecar), looks(sidecar)
    next(one), next(another)
    shared = {next(one)["at"] for _ in range(2)} & {next(another)["at"] for _ in range(3)}
    assert shared
    began = time.monotonic()
    asked = [overview(sidecar)["at"] for _ in range(20)]
    assert len(set(asked)) <= time.monotonic() - began + 2


def test_the_stream_ends_with_the_sidecar(sidecar: Sidecar) -> None:
    pictures = looks(sidecar)
    next(pictures)
    sidecar.terminate()
    assert len(list(pictures)) < SECONDS
    assert sidecar.wait() == 0


def test_it_takes_no_event_loop(sidecar: Sidecar) -> None:
    maps = Path(f"/proc/{sidecar.pid}/maps")
    assert "_asyncio" not in maps.read_text()
    overview(sidecar)
    assert "_asyncio" not in maps.read_text()
    assert sidecar.errors == []


def test_from_elsewhere_only_probes_and_numbers_are_answered(sidecar: Sidecar) -> None:
    elsewhere = own_address()
    for path in ("/live", "/ready", "/metrics"):
        assert get(sidecar, path, address=elsewhere)[0] == 200
    for path in ("/", "/stats", "/config", "/tap", "/api/overview", "/api/stream"):
        status, _, body = get(sidecar, path, {"Accept": "text/html"}, elsewhere)
        assert status == 403
        assert "expected one on this machine" in body
        status, _, body = get(sidecar, path, {"Host": "evil.example"})
        assert status == 403
        assert "found host 'evil.example'" in body


def test_a_browser_shows_it(sidecar: Sidecar, tmp_path: Path) -> None:
    async def look() -> None:
        async with opened(f"http://127.0.0.1:{sidecar.port('admin')}/", tmp_path) as page:
            await page.until("document.querySelectorAll('button.item').length === 3")
            await page.until("document.querySelector('.banner h2').innerText === 'All is well'")
            assert await page.ask("document.title") == "checkout \N{MIDDLE DOT} infermesh"
            called = await page.ask("document.querySelector('button[data-id=\"payments\"]').innerText")
            assert "seen from here, 1 up" in called
            assert page.errors == []

    asyncio.run(look())


def own_address() -> str:
    """An address of this machine that is not loopback's. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        try:
            found.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has loopback only")
        return str(found.getsockname()[0])
