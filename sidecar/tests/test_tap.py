"""``infermesh sidecar tap``: requests of a real proxy as they pass, and as people see them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import grpc
import pytest
from infermesh.proto.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from infermesh_sidecar.command.live import shown
from support.client import ints, request
from support.command_line import Outcome, Running
from support.echo_app import ask, echoing
from support.native_proxy import Proxying, proxying
from support.recording_server import SECONDS, recording

NOW = datetime(2026, 11, 26, 12, 0, 1, 123_000)

END: dict[str, Any] = {
    "event": "end",
    "id": 1,
    "rpc.system": "grpc",
    "rpc.service": "inference.GRPCInferenceService",
    "rpc.method": "ModelInfer",
    "url.path": "/inference.GRPCInferenceService/ModelInfer",
    "infermesh.listener": "outbound",
    "infermesh.route": "fraud",
    "infermesh.cluster": "fraud",
    "client.address": "127.0.0.1:4711",
    "rpc.grpc.status_code": 0,
    "event.outcome": "success",
    "event.duration": 1_234_567,
    "http.request.body.bytes": 10,
    "http.response.body.bytes": 20,
    "infermesh.attempts": 1,
    "server.address": "10.0.0.7:8001",
}


def line(**changes: Any) -> str:
    """A line without its spaces; a value of None takes a field away."""
    changed = {**END, **{name.replace("__", "."): value for name, value in changes.items()}}
    text = shown({name: value for name, value in changed.items() if value is not None}, NOW)
    assert text is not None
    return " ".join(text.plain.split())


def test_a_request_is_one_line() -> None:
    assert line() == (
        "12:00:01.123 OK 1.23 ms inference.GRPCInferenceService/ModelInfer "
        "outbound/fraud → 10.0.0.7:8001 from 127.0.0.1:4711"
    )
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    more = line(infermesh__attempts=2, trace__id=trace, client__user__id="spiffe://shop/web")
    assert more.endswith(f"10.0.0.7:8001 2 attempts from spiffe://shop/web trace {trace}")


def test_one_that_failed_says_why() -> None:
    failed = {"event__outcome": "failure", "rpc__grpc__status_code": 14, "error__type": "UNAVAILABLE"}
    problem = {"error__message": "nobody there", "infermesh__error__source": "upstream"}
    found = line(**failed, **problem, server__address=None)
    assert found.startswith("12:00:01.123 UNAVAILABLE 1.23 ms")
    assert "outbound/fraud → fraud" in found
    assert found.endswith("upstream: nobody there")


def test_http_has_its_method_and_status() -> None:
    http = {"rpc__method": None, "rpc__service": None, "rpc__grpc__status_code": None}
    asked = {"http__request__method": "GET", "url__path": "/orders/7", "http__response__status_code": 304}
    assert line(**http, **asked).startswith("12:00:01.123 304 1.23 ms GET /orders/7 outbound/fraud →")
    nowhere = {"infermesh__route": None, "infermesh__cluster": None, "server__address": None}
    assert "outbound/no route → nobody" in line(**http, **asked, **nowhere)


def test_a_terminal_does_not_obey_what_others_wrote() -> None:
    found = line(error__message="\x1b[2Jgone\r\n", infermesh__error__source="upstream")
    assert "\x1b" not in found
    strange = "\N{REPLACEMENT CHARACTER}"
    assert found.endswith(f"{strange}[2Jgone{strange}{strange}")


def test_beginnings_are_not_shown_and_losses_are() -> None:
    assert shown({**END, "event": "begin"}, NOW) is None
    lost = shown({"event": "lost", "count": 5}, NOW)
    assert lost is not None
    assert lost.plain == "5 events were dropped: they came faster than they are shown"


@pytest.fixture
def running() -> Iterator[Proxying]:
    """A proxy before an app, and between the app and a model."""
    with echoing() as app, recording() as server:
        text = f"""
services: {{m: {{endpoints: "127.0.0.1:{server.port}"}}, dead: {{endpoints: "127.0.0.1:1"}}}}
outbound: {{listen: "127.0.0.1:0", service: m}}
inbound:
  listen: "127.0.0.1:0"
  app: "127.0.0.1:{app}"
  routes: [{{match: {{path: /dead}}, service: dead, transcode: false}}]
"""
        with proxying(text) as running:
            yield running


def infer(running: Proxying) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{running.ports['outbound']}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        stub.ModelInfer(request("m", x=ints([1])), timeout=SECONDS)


def test_requests_are_shown_as_they_pass(running: Proxying) -> None:
    with Running("sidecar", "tap", "--admin", running.admin) as tap:
        begin = tap.json(lambda: infer(running))
        assert (begin["event"], begin["rpc.method"], begin["infermesh.route"]) == ("begin", "ModelInfer", "m")
        end = tap.json()
        while end["event"] != "end":
            end = tap.json()
        assert end["id"] == begin["id"]
        assert (end["event.outcome"], end["infermesh.attempts"]) == ("success", 1)
        # It has what a line for people is made of.
        assert shown(end, NOW) is not None
        assert tap.interrupt() == 0


def test_people_see_a_line_for_each(running: Proxying) -> None:
    port = running.ports["inbound"]
    with Running("sidecar", "tap", "--admin", running.admin, "--format", "text") as tap:
        found = tap.line(lambda: ask(port, "/orders/7", method="GET"))
        words = found.split()
        assert words[1] == "200"
        assert words[4:8] == ["GET", "/orders/7", "inbound/app", "→"], found
        assert "\x1b" not in found
        assert tap.interrupt() == 0


def test_only_what_is_wanted_is_shown(running: Proxying) -> None:
    wanted = ("--route", "dead", "--code", "failure", "--min-duration", "1us", "--listener", "inbound")
    with Running("sidecar", "tap", "--admin", running.admin, *wanted, "--cluster", "dead") as tap:

        def both() -> None:
            ask(running.ports["inbound"], "/orders")
            ask(running.ports["inbound"], "/dead")

        found = [tap.json(both), tap.json(both)]
        assert {(it["url.path"], it["event"], it["http.response.status_code"]) for it in found} == {
            ("/dead", "end", 503)
        }
        assert found[0]["infermesh.error.source"] == "upstream"


def test_it_ends_with_the_sidecar(running: Proxying) -> None:
    with Running("sidecar", "tap", "--admin", running.admin) as tap:
        tap.line(lambda: ask(running.ports["inbound"], "/orders"))
        assert running.proxy.drain(SECONDS)
        assert tap.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--min-duration", "soon"), "--min-duration: found 'soon', expected a time such as 50ms"),
        (("--code", "GONE"), "found code 'GONE', expected a gRPC code by name or number"),
        (("--admin", "here"), "--admin: found 'here', expected HOST:PORT"),
    ],
)
def test_what_is_wrong_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], running: Proxying, arguments: tuple[str, str], message: str
) -> None:
    outcome = Outcome(capsys, "sidecar", "tap", "--admin", running.admin, *arguments)
    assert outcome.code == 2
    assert message in outcome.err


@pytest.mark.parametrize("command", ["status", "tap", "drain"])
def test_where_no_sidecar_is_it_fails_with_a_hint(capsys: pytest.CaptureFixture[str], command: str) -> None:
    outcome = Outcome(capsys, "sidecar", command, "--admin", "127.0.0.1:1")
    assert outcome.code == 1
    assert outcome.err == (
        "Error: nobody listens on 127.0.0.1:1\n"
        "Hint: is the sidecar running? --admin says where; in sidecar.yaml it is admin\n"
    )
