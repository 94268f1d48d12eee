"""Children that start, fail to start, or end at the wrong moment."""

import sys
from pathlib import Path

import pytest
from checkout import processes
from checkout.processes import ProcessFailed, running
from infermesh_perf.processes import free_ports
from support.shop import Shop

SERVER = (
    "import http.server, signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(sys.argv[2])));"
    "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])),"
    " http.server.SimpleHTTPRequestHandler).serve_forever()"
)


def server(port: int, code: int = 0) -> tuple[str, ...]:
    return (sys.executable, "-c", SERVER, str(port), str(code))


def test_an_end_with_an_error_is_told(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with (
        pytest.raises(ProcessFailed, match=r"^it ended with 3:"),
        running("it", server(port, 3), tmp_path / "log", port=port, ready="/"),
    ):
        pass


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    command = (sys.executable, "-c", "import sys; sys.exit('no such model')")
    with (
        pytest.raises(ProcessFailed, match="it ended with 1 before it was ready:\nno such model"),
        running("it", command, tmp_path / "log", port=port, ready="/"),
    ):
        pass


def test_one_that_is_never_ready_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START_SECONDS", 0.5)
    (port,) = free_ports(1)
    with (
        pytest.raises(ProcessFailed, match=r"it was not ready after 0\.5 s"),
        running("it", server(port), tmp_path / "log", port=port, ready="/nothing-here"),
    ):
        pass


def test_a_taken_port_is_not_mistaken_for_the_child(shop: Shop, tmp_path: Path) -> None:
    with (
        pytest.raises(ProcessFailed, match=f"it cannot start: something else listens on port {shop.port}"),
        running("it", server(shop.port), tmp_path / "log", port=shop.port, ready="/healthz"),
    ):
        pass


def test_an_error_within_is_not_hidden_and_the_child_ends(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with (
        pytest.raises(ZeroDivisionError),
        running("it", server(port), tmp_path / "log", port=port, ready="/"),
    ):
        _ = 1 / 0
    assert processes._answer(port, "/") is None
