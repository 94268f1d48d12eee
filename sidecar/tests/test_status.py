"""``infermesh sidecar status``: what a real proxy says of itself, and how people see it."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from infermesh_sidecar.command.tables import parts, since
from rich.console import Console
from support.command_line import Outcome, Running
from support.echo_app import ask, echoing
from support.native_proxy import Proxying, proxying

NONE = {"mean": None, "p50": None, "p90": None, "p99": None}

STATS: dict[str, Any] = {
    "name": "shop",
    "version": "0.1.0",
    "uptime_seconds": 125.0,
    "ready": True,
    "unready_because": None,
    "connections": 3,
    "routes": [
        {
            "listener": "outbound",
            "route": "fraud",
            "cluster": "fraud",
            "requests": 12_345,
            "failures": 2,
            "requests_per_second": 98.76,
            "requests_in_flight": 4,
            "retries": 7,
            "latency_seconds": {"mean": 0.002, "p50": 0.0012, "p90": 0.004, "p99": 1.5},
        },
        {
            "listener": "outbound",
            "route": "",
            "cluster": None,
            "requests": 1,
            "failures": 1,
            "requests_per_second": 0.008,
            "requests_in_flight": 0,
            "retries": 0,
            "latency_seconds": NONE,
        },
    ],
    "endpoints": [
        {
            "cluster": "fraud",
            "endpoint": f"10.0.0.{number}:8001",
            "available": available,
            "unavailable_because": because,
            "breaker": breaker,
            "load": 0.00123,
            "requests": 100,
            "failures": 9,
            "requests_in_flight": 0,
            "connections": 1,
            "latency_seconds": NONE,
        }
        for number, available, because, breaker in [
            (7, False, "its breaker is open", {"state": "open", "open_for_seconds": 3.25, "openings": 1}),
            (8, True, None, {"state": "half_open", "open_for_seconds": None, "openings": 1}),
            (9, False, "it fails its health checks", None),
            (10, True, None, {"state": "closed", "open_for_seconds": None, "openings": 0}),
        ]
    ],
}

CERTIFICATE = {"subject": "CN=shop", "issuer": "CN=shop", "seconds_left": 90_000}
CERTIFICATES: dict[str, Any] = {
    "identity": {
        "id": "spiffe://shop/web",
        "certificate": {**CERTIFICATE, "subject": "", "seconds_left": 3725},
        "life_left": 0.125,
        "reload_error": "tls.key: it is not the key of tls.crt",
        "authorities": [CERTIFICATE],
        "handshakes": {
            "accepted": {"done": 5, "resumed": 0, "without_tls": 0, "failed": {"expired": 2, "untrusted": 1}},
            "connected": {"done": 5, "resumed": 0, "without_tls": 0, "failed": {}},
        },
    }
}


def lines(stats: Any, certificates: Any = None) -> list[str]:
    """What people see, without its spaces."""
    written = io.StringIO()
    console = Console(width=140, file=written)
    for part in parts(stats, certificates or {"identity": None}):
        console.print(part)
    return [" ".join(line.split()) for line in written.getvalue().splitlines()]


def test_routes_and_endpoints_are_tables() -> None:
    found = lines(STATS)
    assert found[0] == "shop 0.1.0, ready, up for 2 min 5 s, 3 connections"
    assert "outbound fraud fraud 12,345 98.8 2 4 7 1.2 ms 1.5 s" in found
    assert "outbound no route 1 0.0 1 0 0" in found
    assert "fraud 10.0.0.7:8001 breaker open for 3.25 s 1.23 100 9 0 1" in found
    assert "fraud 10.0.0.8:8001 breaker half open 1.23 100 9 0 1" in found
    assert "fraud 10.0.0.9:8001 it fails its health checks 1.23 100 9 0 1" in found
    assert "fraud 10.0.0.10:8001 in use 1.23 100 9 0 1" in found
    assert "Certificates" not in found


def test_certificates_say_how_long_they_last_and_what_is_wrong() -> None:
    found = lines(STATS, CERTIFICATES)
    assert "identity spiffe://shop/web CN=shop 1 h 2 min 12%" in found
    assert "authority CN=shop 1 d 1 h" in found
    assert "The files of the identity cannot be used: tls.key: it is not the key of tls.crt" in found
    assert "Handshakes of others with this sidecar that failed: expired 2, untrusted 1" in found


def test_rates_are_those_since_the_last_look() -> None:
    later = {
        **STATS,
        "uptime_seconds": 127.0,
        "routes": [{**STATS["routes"][0], "requests": 12_395}, {**STATS["routes"][1], "route": "new"}],
    }
    assert [it["requests_per_second"] for it in since(STATS, later)["routes"]] == [25.0, 0.5]
    # One that has been started anew has no past.
    anew = {**STATS, "uptime_seconds": 1.0}
    assert since(STATS, anew) == anew


@pytest.fixture
def running() -> Iterator[Proxying]:
    with echoing() as app:
        text = f"""
name: shop
services: {{dead: {{endpoints: "127.0.0.1:1", breaker: true}}}}
inbound:
  listen: "127.0.0.1:0"
  app: "127.0.0.1:{app}"
  routes: [{{match: {{path: /dead}}, service: dead, transcode: false}}]
"""
        with proxying(text) as running:
            yield running


def test_a_proxy_is_shown(capsys: pytest.CaptureFixture[str], running: Proxying) -> None:
    for _ in range(7):
        assert ask(running.ports["inbound"], "/dead")[0] == 503
    assert ask(running.ports["inbound"], "/orders")[0] == 200
    text = Outcome(capsys, "sidecar", "status", "--admin", running.admin, "--format", "text")
    assert text.code == 0
    assert text.lines[0].startswith("shop 0, ready, up for ")
    assert any(line.startswith("inbound dead dead 7 ") for line in text.lines), text.out
    assert any(line.startswith("dead 127.0.0.1:1 breaker open for ") for line in text.lines), text.out
    assert "\x1b" not in text.out
    document = json.loads(Outcome(capsys, "sidecar", "status", "--admin", running.admin).out)
    assert {it["route"]: it["requests"] for it in document["routes"]} == {"dead": 7, "app": 1}
    assert document["certificates"] == {"identity": None}


def test_one_that_is_not_ready_is_exit_code_1(capsys: pytest.CaptureFixture[str], running: Proxying) -> None:
    running.proxy.set_ready(False)
    outcome = Outcome(capsys, "sidecar", "status", "--admin", running.admin)
    assert outcome.code == 1
    assert json.loads(outcome.out)["ready"] is False
    assert outcome.err.startswith(f"Error: the sidecar at {running.admin} is not ready: its process has not")


def test_a_proxy_can_be_watched(running: Proxying) -> None:
    watching = ("sidecar", "status", "--admin", running.admin, "--watch", "--interval", "0.1")
    with Running(*watching) as status:
        counts = [status.json()["routes"][1]["requests"]]
        ask(running.ports["inbound"], "/orders")
        while counts[-1] == 0:
            document = status.json()
            counts.append(document["routes"][1]["requests"])
        assert document["routes"][1]["requests_per_second"] > 0
        assert status.interrupt() == 0
    with Running(*watching, "--format", "text") as status:
        assert status.line().startswith("shop 0, ready")
        running.proxy.drain(0)
        assert status.wait() == 1


def test_certificates_of_a_proxy_are_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for arguments in (("init",), ("issue", "web", "--ttl", "1h", "--output", tmp_path / "web")):
        assert Outcome(capsys, "identity", *arguments, "--dir", tmp_path / "ca").code == 0
    text = f"""
identity: {{directory: {tmp_path / "web"}}}
inbound: {{listen: "127.0.0.1:0", app: "127.0.0.1:1", tls: mutual}}
"""
    with proxying(text) as running:
        outcome = Outcome(capsys, "sidecar", "status", "--admin", running.admin, "--format", "text")
    assert outcome.code == 0
    (own,) = (line for line in outcome.lines if line.startswith("identity spiffe://"))
    # It is valid from a few minutes before it was issued.
    assert re.fullmatch(r"identity spiffe://\S+/web CN=.+ (1 h|59 min \d+ s) 9\d%", own), own
