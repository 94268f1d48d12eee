"""The life of a sidecar: real processes and signals, around a data plane of a test."""

import http.client
import json
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from infermesh.capture import reader
from support.sidecar import FAKE, SECONDS, Sidecar, until, write_config

#: Takes settings; with a script of Python, it is run with the sidecar.
Start = Callable[..., Sidecar]

OUTBOUND = {
    "services": {"fraud": {"endpoints": ["127.0.0.1:1"]}},
    "outbound": {"listen": "127.0.0.1:0"},
}


def inbound(app: int, **settings: Any) -> dict[str, Any]:
    return {"inbound": {"listen": "127.0.0.1:0", "app": f"127.0.0.1:{app}", **settings}}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a sidecar with these settings; what is left of it is killed after the test."""
    started: list[Sidecar] = []

    def begin(script: str = "", **settings: Any) -> Sidecar:
        config = ("--config", write_config(tmp_path, **(settings or OUTBOUND)))
        command = ("run", *config, "--", sys.executable, "-c", script) if script else config
        started.append(Sidecar(*command, environment=FAKE))
        return started[-1]

    yield begin
    for sidecar in started:
        sidecar.kill()


def get(port: int, path: str = "/") -> str:
    """What a listener answers."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def refuses(port: int) -> bool:
    """Whether nobody listens any more; who listened a moment ago may still have accepted."""
    try:
        get(port)
    except ConnectionRefusedError:
        return True
    except (OSError, http.client.HTTPException):
        pass
    return False


class Slow:
    """A request that is under way until it is released."""

    def __init__(self, sidecar: Sidecar, port: int) -> None:
        self._sidecar = sidecar
        self.answer = ""
        self._thread = threading.Thread(target=self._run, args=(port,))
        self._thread.start()
        until(lambda: sidecar.admin("/in-flight")[1] == 1)

    def _run(self, port: int) -> None:
        try:
            self.answer = get(port, "/slow")
        except (OSError, http.client.HTTPException) as error:
            self.answer = type(error).__name__

    def release(self) -> None:
        self._sidecar.admin("/release", "POST")
        self.join()

    def join(self) -> None:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def app() -> Iterator[HTTPServer]:
    """An app that answers /healthz with 200 and anything else with 500; it does not run yet."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.server_bind()
    yield server
    server.server_close()


def serve(app: HTTPServer) -> None:
    app.server_activate()
    threading.Thread(target=app.serve_forever, args=(0.02,), daemon=True).start()


def test_it_becomes_ready_serves_and_ends_in_order(start: Start) -> None:
    sidecar = start()
    sidecar.wait_for("sidecar-ready")
    assert sidecar.admin("/ready") == (200, {"ready": True})
    assert get(sidecar.port("outbound")) == "fraud"
    sidecar.terminate()
    assert sidecar.wait() == 0
    assert sidecar.actions() == [
        "sidecar-listening",
        "sidecar-listening",
        "sidecar-ready",
        "sidecar-ending",
        "sidecar-draining",
        "sidecar-stopped",
    ]
    assert sidecar.records[0]["service.name"] == "test"
    assert sidecar.errors == []


def test_the_process_is_the_one_that_was_started(start: Start) -> None:
    sidecar = start()
    sidecar.wait_for("sidecar-ready")
    command = Path(f"/proc/{sidecar.pid}/cmdline").read_bytes().split(b"\0")
    assert b"infermesh_sidecar.process.main" in command


def test_ctrl_c_ends_it_too(start: Start) -> None:
    sidecar = start(**OUTBOUND, shutdown={"drain_delay": "1h"})
    sidecar.wait_for("sidecar-ready")
    sidecar.signal(signal.SIGINT)
    # Nobody waits for that: there is no cluster on a laptop that has to learn of it.
    assert sidecar.wait() == 0


def test_what_is_under_way_is_answered(start: Start) -> None:
    sidecar = start()
    port = sidecar.port("outbound")
    slow = Slow(sidecar, port)
    sidecar.terminate()
    sidecar.wait_for("sidecar-draining")
    until(lambda: refuses(port))
    assert sidecar.admin("/ready")[0] == 503
    slow.release()
    assert slow.answer == "fraud"
    assert sidecar.wait() == 0


def test_a_drain_that_runs_out_of_time_is_a_failure(start: Start) -> None:
    sidecar = start(**OUTBOUND, shutdown={"drain_timeout": "100ms"})
    slow = Slow(sidecar, sidecar.port("outbound"))
    sidecar.terminate()
    assert sidecar.wait() == 1
    assert sidecar.errors == [
        "Error: requests were still running 0.1 s after SIGTERM and were cut off",
        "Hint: shutdown.drain_timeout gives them longer",
    ]
    slow.join()


def test_a_second_signal_ends_it_now(start: Start) -> None:
    sidecar = start()
    slow = Slow(sidecar, sidecar.port("outbound"))
    sidecar.terminate()
    sidecar.wait_for("sidecar-draining")
    sidecar.terminate()
    assert sidecar.wait() == -signal.SIGTERM
    slow.join()


def test_requests_are_taken_while_others_learn_that_it_is_not_ready(start: Start) -> None:
    sidecar = start(**OUTBOUND, shutdown={"drain_delay": "1h"})
    port = sidecar.port("outbound")
    sidecar.wait_for("sidecar-ready")
    sidecar.terminate()
    sidecar.wait_for("sidecar-ending")
    until(lambda: sidecar.admin("/ready")[0] == 503)
    assert get(port) == "fraud"
    assert "sidecar-draining" not in sidecar.actions()
    # Who cannot wait insists.
    sidecar.terminate()
    assert sidecar.wait() == -signal.SIGTERM


def test_it_drains_after_that(start: Start) -> None:
    sidecar = start(**OUTBOUND, shutdown={"drain_delay": "50ms"})
    sidecar.wait_for("sidecar-ready")
    sidecar.terminate()
    assert sidecar.wait() == 0
    assert sidecar.actions()[-3:] == ["sidecar-ending", "sidecar-draining", "sidecar-stopped"]


def test_it_is_ready_when_the_app_is(start: Start, app: HTTPServer) -> None:
    sidecar = start(**inbound(app.server_port, wait_for_app={"path": "/healthz"}))
    sidecar.wait_for("app-awaited")
    # It serves: the app may call others while it starts, and the process lives.
    assert get(sidecar.port("inbound")) == "app"
    assert sidecar.admin("/ready")[0] == 503
    serve(app)
    sidecar.wait_for("sidecar-ready")
    assert sidecar.admin("/ready")[0] == 200
    app.shutdown()


def test_an_app_that_does_not_come_is_a_failure(start: Start, app: HTTPServer) -> None:
    sidecar = start(**inbound(app.server_port, wait_for_app={"timeout": "200ms"}))
    assert sidecar.wait() == 1
    assert sidecar.errors == [
        f"Error: the app at 127.0.0.1:{app.server_port} did not answer within 0.2 s: Connection refused",
        "Hint: wait_for_app.timeout gives it longer",
    ]


def test_an_app_that_answers_badly_is_not_there_yet(start: Start, app: HTTPServer) -> None:
    serve(app)
    sidecar = start(**inbound(app.server_port, wait_for_app={"path": "/", "timeout": "200ms"}))
    assert sidecar.wait() == 1
    assert "did not answer within 0.2 s: / answers 500" in sidecar.errors[0]
    app.shutdown()


def test_the_end_may_come_before_the_app(start: Start, app: HTTPServer) -> None:
    sidecar = start(**inbound(app.server_port, wait_for_app=True))
    sidecar.wait_for("app-awaited")
    sidecar.terminate()
    assert sidecar.wait() == 0
    assert "sidecar-ready" not in sidecar.actions()


def test_it_ends_after_the_app(start: Start, app: HTTPServer) -> None:
    serve(app)
    sidecar = start(**inbound(app.server_port), shutdown={"wait_for_app_exit": True})
    sidecar.wait_for("sidecar-ready")
    sidecar.terminate()
    sidecar.wait_for("sidecar-ending")
    assert get(sidecar.port("inbound")) == "app"
    assert "sidecar-draining" not in sidecar.actions()
    app.shutdown()
    app.server_close()
    assert sidecar.wait() == 0
    assert "app-remains" not in sidecar.actions()


def test_an_app_that_stays_is_left(start: Start, app: HTTPServer) -> None:
    serve(app)
    sidecar = start(**inbound(app.server_port), shutdown={"wait_for_app_exit": {"timeout": "200ms"}})
    sidecar.wait_for("sidecar-ready")
    sidecar.terminate()
    assert sidecar.wait() == 0
    assert "still accepts connections after 0.2 s" in sidecar.wait_for("app-remains")["message"]
    app.shutdown()


def test_the_end_may_be_asked_for_at_the_admin_endpoint(start: Start) -> None:
    sidecar = start(**OUTBOUND, shutdown={"drain_delay": "1h"})
    sidecar.wait_for("sidecar-ready")
    assert sidecar.admin("/quit", "POST")[0] == 202
    assert sidecar.wait() == 0


def test_what_the_data_plane_says_is_in_the_log(start: Start) -> None:
    sidecar = start()
    sidecar.admin("/say", "POST", b"hello")
    assert sidecar.wait_for("fake-said")["message"] == "hello"


def test_plaintext_for_everybody_is_warned_of(start: Start) -> None:
    sidecar = start(inbound={"listen": "0.0.0.0:0", "app": "127.0.0.1:1"})
    message = sidecar.wait_for("sidecar-warning")["message"]
    assert message.startswith("0.0.0.0:0 is reached from other machines and speaks plaintext")


@pytest.mark.parametrize("tls", ["mesh", "off"])
def test_unless_it_is_meant_so(start: Start, tls: str) -> None:
    sidecar = start(inbound={"listen": "0.0.0.0:0", "app": "127.0.0.1:1"}, tls=tls)
    sidecar.wait_for("sidecar-ready")
    assert "sidecar-warning" not in sidecar.actions()


def test_a_port_that_is_taken_is_named(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        sidecar = start(**{**OUTBOUND, "outbound": {"listen": address}})
        assert sidecar.wait() == 1
    assert sidecar.errors[0].startswith(f"Error: cannot listen on {address}: Address already in use")


def test_so_is_the_admin_endpoints(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sidecar = start(**OUTBOUND, admin=f"127.0.0.1:{taken.getsockname()[1]}")
        assert sidecar.wait() == 1
    assert "Address already in use" in sidecar.errors[0]


def test_what_the_data_plane_cannot_do_is_the_configurations_fault(start: Start) -> None:
    sidecar = start(services={"wrong": {"endpoints": ["127.0.0.1:1"]}}, outbound={"listen": "127.0.0.1:0"})
    assert sidecar.wait() == 2
    assert sidecar.errors[0].endswith("sidecar.yaml: clusters[0].name: found 'wrong', expected another")


def test_without_an_admin_endpoint(start: Start) -> None:
    sidecar = start(**OUTBOUND, admin=False)
    sidecar.wait_for("sidecar-ready")
    assert sidecar.records[0]["message"].startswith("Listening for outbound on ")
    assert sidecar.actions() == ["sidecar-listening", "sidecar-ready"]


def test_every_request_may_be_logged(start: Start) -> None:
    sidecar = start(**OUTBOUND, log={"format": "json", "requests": True})
    assert sidecar.calls("set_access_log") == [[True]]


def test_traces_are_recorded_where_there_is_a_collector(start: Start) -> None:
    sidecar = start(**OUTBOUND, tracing={"sample": "25%", "endpoint": "http://127.0.0.1:1/v1/traces"})
    assert sidecar.calls("start_traces") == [[0.25, "test", 16_384, 512, 5.0]]
    sidecar.terminate()
    assert sidecar.wait() == 0


def test_and_nowhere_else(start: Start) -> None:
    assert start().calls("start_traces") == []


def test_endpoints_of_a_file_are_followed(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "endpoints.yaml"
    file.write_text("fraud: ['127.0.0.1:1']\n")
    sidecar = start(
        services={"fraud": {"endpoints_file": "endpoints.yaml"}}, outbound={"listen": "127.0.0.1:0"}
    )
    sidecar.wait_for("sidecar-ready")
    assert sidecar.calls("set_endpoints") == []
    file.write_text("fraud: ['127.0.0.1:1', '127.0.0.1:2']\n")
    sidecar.wait_for("endpoints-changed")
    assert sidecar.calls("set_endpoints") == [["fraud", ["127.0.0.1:1", "127.0.0.1:2"]]]
    file.write_text("fraud: [nowhere]\n")
    message = sidecar.wait_for("endpoints-unreadable")["message"]
    assert "endpoints.yaml:1: fraud[0]: found 'nowhere', expected HOST:PORT" in message
    assert message.endswith("fraud keeps the endpoints it has")
    file.unlink()
    sidecar.wait_for("endpoints-unreadable", lambda it: "No such file" in it["message"])
    file.write_text("fraud: []\n")
    sidecar.wait_for("endpoints-changed", lambda it: it["message"] == "fraud has 0 endpoints now: none")


def enriched(transform: str) -> dict[str, Any]:
    enrichment = {"model": "fraud", "outputs": {"score": "header.x-score"}, "transform": transform}
    return {**OUTBOUND, **inbound(1, enrich=enrichment)}


def test_functions_of_people_are_called(start: Start, tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text("""
import numpy

def make(fields):
    if fields["amount"] < 0:
        raise ValueError("who pays that?")
    return {"x": numpy.array([[fields["amount"], 2.5]], dtype=numpy.float32), "y": ["a"]}
""")
    sidecar = start(**enriched("features:make"))
    call = {"function": "features:make", "rule": "fraud", "model": "fraud", "inputs": []}
    sidecar.admin("/call", "POST", json.dumps({**call, "fields": {"amount": 1}}).encode())
    until(lambda: len(sidecar.calls("reply")) == 1)
    assert sidecar.calls("reply") == [[{"tensors": {"x": [[1.0, 2.5]], "y": ["a"]}}]]
    sidecar.admin("/call", "POST", json.dumps({**call, "fields": {"amount": -1}}).encode())
    until(lambda: len(sidecar.calls("reply")) == 2)
    assert sidecar.calls("reply")[1] == [{"error": "ValueError: who pays that?"}]
    assert "features:make failed for fraud" in sidecar.wait_for("transform-failed")["message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "transform features:make: cannot import it: ModuleNotFoundError: No module named 'features'"),
        ("x = 1 / 0", "transform features:make: cannot import it: ZeroDivisionError: division by zero"),
        ("", "transform features:make: found no such name, expected a function in "),
        ("make = 3", "transform features:make: found int, expected a function in "),
        ("async def make(fields): ...", "transform features:make: found a coroutine function"),
    ],
)
def test_a_function_that_cannot_be_called_is_named(
    start: Start, tmp_path: Path, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "features.py").write_text(text)
    sidecar = start(**enriched("features:make"))
    assert sidecar.wait() == 2
    assert message in sidecar.errors[0]
    # Before anything listens.
    assert sidecar.records == []


def test_copies_of_requests_are_written(start: Start, tmp_path: Path) -> None:
    sidecar = start(**OUTBOUND, capture={"directory": "captures"})
    sidecar.wait_for("sidecar-ready")
    folder = tmp_path / "captures"
    sidecar.admin("/capture", "POST", b"\x12\x01a")
    until(lambda: any(folder.iterdir()))
    sidecar.admin("/capture", "POST", b"\x12\x01b")
    sidecar.terminate()
    assert sidecar.wait() == 0
    assert [it.record.route for it in reader.read(folder)] == ["a", "b"]


def test_a_folder_that_cannot_be_written_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "captures").touch()
    sidecar = start(**OUTBOUND, capture={"directory": "captures"})
    assert sidecar.wait() == 1
    assert "captures cannot be written there" in sidecar.errors[0]


@pytest.mark.parametrize("code", [0, 7])
def test_a_command_ends_the_sidecar_with_its_code(start: Start, code: int) -> None:
    sidecar = start(f"print('hello', flush=True); raise SystemExit({code})")
    assert sidecar.wait() == code
    assert sidecar.lines == ["hello"]
    assert sidecar.actions()[-2:] == ["sidecar-draining", "sidecar-stopped"]
    assert sidecar.errors == []


WAITS = "import time; print('up', flush=True)\nwhile True: time.sleep(0.01)"
TELLS = (
    """
import signal, time
def tell(number, _):
    print(signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM: raise SystemExit(3)
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP): signal.signal(number, tell)
"""
    + WAITS
)


def test_signals_are_passed_on_to_a_command(start: Start) -> None:
    sidecar = start(TELLS)
    until(lambda: "up" in sidecar.lines)
    sidecar.signal(signal.SIGUSR1)
    until(lambda: "SIGUSR1" in sidecar.lines)
    sidecar.signal(signal.SIGHUP)
    until(lambda: "SIGHUP" in sidecar.lines)
    sidecar.terminate()
    assert sidecar.wait() == 3
    assert sidecar.lines == ["up", "SIGUSR1", "SIGHUP", "SIGTERM"]


def test_a_command_that_a_signal_ended(start: Start) -> None:
    sidecar = start(WAITS)
    until(lambda: "up" in sidecar.lines)
    sidecar.terminate()
    assert sidecar.wait() == 128 + signal.SIGTERM


def test_a_command_that_does_not_end_is_killed(start: Start, app: HTTPServer) -> None:
    script = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITS
    sidecar = start(script, **inbound(app.server_port), shutdown={"wait_for_app_exit": {"timeout": "200ms"}})
    until(lambda: "up" in sidecar.lines)
    sidecar.terminate()
    assert sidecar.wait() == 128 + signal.SIGKILL
    assert "still running 0.2 s later and is killed" in sidecar.wait_for("command-killed")["message"]


def test_a_command_may_be_the_app_that_is_waited_for(start: Start, app: HTTPServer) -> None:
    script = (
        f"import http.server; http.server.HTTPServer(('127.0.0.1', {app.server_port}), None).serve_forever()"
    )
    app.server_close()
    sidecar = start(script, **inbound(app.server_port, wait_for_app=True))
    sidecar.wait_for("sidecar-ready")
    sidecar.terminate()
    assert sidecar.wait() == 128 + signal.SIGTERM


def test_a_command_that_ends_before_it_is_ready(start: Start, app: HTTPServer) -> None:
    sidecar = start("raise SystemExit(4)", **inbound(app.server_port, wait_for_app=True))
    assert sidecar.wait() == 4


def test_the_end_may_be_asked_for_while_a_command_runs(start: Start) -> None:
    sidecar = start(TELLS)
    until(lambda: "up" in sidecar.lines)
    sidecar.admin("/quit", "POST")
    assert sidecar.wait() == 3


def test_so_may_it_by_the_command_that_waits_for_it(start: Start) -> None:
    sidecar = start()
    sidecar.wait_for("sidecar-ready")
    admin = f"127.0.0.1:{sidecar.port('admin')}"
    asked = Sidecar("drain", "--admin", admin, "--wait")
    assert asked.wait() == 0
    assert asked.lines == [f"The sidecar at {admin} has ended"]
    assert sidecar.wait() == 0
