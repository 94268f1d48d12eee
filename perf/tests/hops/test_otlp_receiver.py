import gzip
import http.client
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.hops import otlp_receiver
from infermesh_perf.hops.otlp_receiver import CONTENT_TYPE, PATH, Receiver, receiving
from infermesh_perf.hops.traces import Traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support import onnx_models
from support.client import Client, floats, request
from support.repository import Repository
from support.server import LOOPBACK, serving

MESSAGE = ExportTraceServiceRequest()
MESSAGE.resource_spans.add().scope_spans.add().spans.add(name="a")
BODY = MESSAGE.SerializeToString()


@pytest.fixture
def taken() -> list[ExportTraceServiceRequest]:
    return []


@pytest.fixture
def receiver(taken: list[ExportTraceServiceRequest]) -> Iterator[Receiver]:
    with receiving(taken.append) as receiver:
        yield receiver


@contextmanager
def _connection(receiver: Receiver) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(receiver.host, receiver.http_port, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def _post(receiver: Receiver, body: bytes, path: str = PATH, **headers: str) -> int:
    sent = {"content-type": CONTENT_TYPE} | {name.replace("_", "-"): value for name, value in headers.items()}
    with _connection(receiver) as connection:
        connection.request("POST", path, body, sent)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def test_http(receiver: Receiver, taken: list[ExportTraceServiceRequest]) -> None:
    assert _post(receiver, BODY) == 200
    assert _post(receiver, gzip.compress(BODY, mtime=0), content_encoding="gzip") == 200
    assert taken == [MESSAGE, MESSAGE]
    assert receiver.http_url == f"http://127.0.0.1:{receiver.http_port}/v1/traces"


@pytest.mark.parametrize(
    ("body", "path", "headers", "status"),
    [
        (BODY, "/v1/metrics", {}, 404),
        (b"{}", PATH, {"content_type": "application/json"}, 415),
        (b"\xff\xff", PATH, {}, 400),
        (BODY, PATH, {"content_encoding": "gzip"}, 400),
        (gzip.compress(BODY, mtime=0)[:-9], PATH, {"content_encoding": "gzip"}, 400),
        (b"", PATH, {"content_length": "999999999999"}, 413),
        (b"", PATH, {"content_length": "-1"}, 411),
    ],
)
def test_what_is_refused(
    receiver: Receiver,
    taken: list[ExportTraceServiceRequest],
    body: bytes,
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    assert _post(receiver, body, path, **headers) == status
    # And it goes on.
    assert _post(receiver, BODY) == 200
    assert taken == [MESSAGE]


def test_a_body_that_grows_beyond_bounds_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp_receiver, "MAX_BYTES", 1000)
    assert _post(receiver, gzip.compress(bytes(100_000)), content_encoding="gzip") == 400


def test_a_connection_is_used_again(receiver: Receiver, taken: list[ExportTraceServiceRequest]) -> None:
    with _connection(receiver) as connection:
        for status in (200, 415, 200):
            kind = CONTENT_TYPE if status == 200 else "text/plain"
            connection.request("POST", PATH, BODY, {"content-type": kind})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
    assert len(taken) == 2


def test_grpc(receiver: Receiver, taken: list[ExportTraceServiceRequest]) -> None:
    with grpc.insecure_channel(receiver.grpc_url.removeprefix("http://")) as channel:
        stub: Any = trace_service_pb2_grpc.TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        stub.Export(MESSAGE, timeout=10)
        stub.Export(MESSAGE, timeout=10, compression=grpc.Compression.Gzip)
    assert taken == [MESSAGE, MESSAGE]


@pytest.mark.parametrize("which", ["http_port", "grpc_port"])
def test_a_port_that_is_taken(which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(SetupError, match=f"cannot be received on 127.0.0.1:{port}"),
            receiving(lambda _: None, **{which: port}),
        ):
            pass


def test_ipv6(taken: list[ExportTraceServiceRequest]) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with receiving(taken.append, host="::1") as receiver:
        assert _post(receiver, BODY) == 200
        assert receiver.http_url.startswith("http://[::1]:")
    assert taken == [MESSAGE]


def test_spans_come_from_many_threads() -> None:
    traces = Traces(max_spans=10)
    with receiving(traces.take) as receiver, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: _post(receiver, BODY), range(20))) == {200}
    found = traces.result()
    assert (found.spans, found.dropped) == (10, 10)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_what_a_real_server_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    repository = Repository.make(tmp_path / "repository")
    repository.onnx("scale", onnx_models.scale(3.0))
    traces = Traces()
    ids = [f"{number:032x}" for number in range(1, 6)]
    with receiving(traces.take) as receiver:
        url = receiver.grpc_url if protocol == "grpc" else receiver.http_url.removesuffix(PATH)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        # Every request that nobody else decided about begins a trace, which is not the client's.
        options = ("--trace-config", "rate=1", "--trace-config", "opentelemetry,bsp_schedule_delay=0")
        with serving(repository.root, *LOOPBACK, *options) as server, Client(server.target) as client:
            for trace in (*ids, None):
                metadata = () if trace is None else (("traceparent", f"00-{trace}-00f067aa0ba902b7-01"),)
                client.inference.ModelInfer(request("scale", x=floats(1, 4)), timeout=20, metadata=metadata)
            assert traces.wait_for(ids, timeout=20)
        # The server has ended, and so has sent everything.
        found = traces.result()
    assert sorted(found.requests) == ids
    assert (found.spans, found.dropped, found.sidecar_mean_ns) == (18, 0, None)
    assert found.times is not None
    assert found.times.requests == 5
    assert 0 < found.times.compute_ns < found.times.stages_ns <= found.times.total_ns
    slowest = found.requests[ids[0]]
    assert sum(slowest.by_name().values()) == slowest.server.total_ns
