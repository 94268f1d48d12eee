"""A collector of traces: receives OTLP over HTTP and over gRPC, and keeps what it gets."""

import gzip
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

SECONDS = 20.0

SERVER = 2
CLIENT = 3

#: Of our own spans, of those of Python's gRPC, and of a test.
SCOPES = ("infermesh-telemetry", "opentelemetry.instrumentation.grpc", "test")


@dataclass(frozen=True)
class Span:
    """What a test looks at."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    start: int
    end: int
    state: str
    flags: int
    failed: bool
    attributes: Mapping[str, Any]
    events: Mapping[str, int]
    resource: Mapping[str, Any]


@dataclass
class Collector:
    """Where it listens, and what it was sent."""

    http_port: int = 0
    grpc_port: int = 0
    #: HTTP status or gRPC code for what comes next; None takes it.
    refuse_http: int | None = None
    refuse_grpc: grpc.StatusCode | None = None
    refused: int = 0
    requests: int = 0
    headers: list[Mapping[str, str]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def http_url(self) -> str:
        """Where HTTP is spoken."""
        return f"http://127.0.0.1:{self.http_port}/v1/traces"

    @property
    def grpc_url(self) -> str:
        """Where gRPC is spoken."""
        return f"http://127.0.0.1:{self.grpc_port}"

    def wait_for(self, spans: int) -> list[Span]:
        """All spans, as soon as there are so many."""
        self._wait(lambda: len(self.spans) >= spans, f"{spans} spans")
        return list(self.spans)

    def wait_refused(self) -> None:
        """Return when something was refused."""
        self._wait(lambda: self.refused > 0, "refusal")

    def trace(self, trace: str) -> dict[str, Span]:
        """The spans of a trace by name, once there are three."""
        self._wait(lambda: len(self._of(trace)) >= 3, f"trace {trace}")
        return {span.name: span for span in self._of(trace)}

    def _of(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace == trace]

    def _wait(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + SECONDS
        with self._news:
            while not condition():
                left = deadline - time.monotonic()
                assert left > 0, f"no {what} within {SECONDS} s, {len(self.spans)} spans: {self.spans[-3:]}"
                self._news.wait(left)

    def take(self, request: pb.ExportTraceServiceRequest, headers: Mapping[str, str]) -> None:
        """Keep one message."""
        with self._news:
            self.requests += 1
            self.headers.append(headers)
            for of_process in request.resource_spans:
                resource = _plain(of_process.resource.attributes)
                for of_scope in of_process.scope_spans:
                    assert of_scope.scope.name in SCOPES
                    self.spans += [_span(span, resource) for span in of_scope.spans]
            self._news.notify_all()

    def refuse(self) -> None:
        """Count one message that was not taken."""
        with self._news:
            self.refused += 1
            self._news.notify_all()


def _span(span: Any, resource: Mapping[str, Any]) -> Span:
    return Span(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=span.kind,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        state=span.trace_state,
        flags=span.flags,
        failed=span.status.code == 2,
        attributes=_plain(span.attributes),
        events={event.name: event.time_unix_nano for event in span.events},
        resource=resource,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    def value(attribute: KeyValue) -> Any:
        return getattr(attribute.value, attribute.value.WhichOneof("value") or "string_value")

    return {attribute.key: value(attribute) for attribute in attributes}


class _Handler(BaseHTTPRequestHandler):
    collector: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        assert self.headers["content-type"] == "application/x-protobuf"
        body = self.rfile.read(int(self.headers["content-length"]))
        if (status := self.collector.refuse_http) is not None:
            self.collector.refuse()
        else:
            status = 200
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.collector.take(pb.ExportTraceServiceRequest.FromString(body), dict(self.headers))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class _Service(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request: Any, context: Any) -> pb.ExportTraceServiceResponse:  # noqa: N802 - gRPC's name
        if self._collector.refuse_grpc is not None:
            self._collector.refuse()
            context.abort(self._collector.refuse_grpc, "not now")
        self._collector.take(request, dict(context.invocation_metadata()))
        return pb.ExportTraceServiceResponse()


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for as long as the block lasts."""
    collector = Collector()
    handler = type("Handler", (_Handler,), {"collector": collector})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    collector.http_port = http.server_port
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    server = grpc.server(ThreadPoolExecutor(2))
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(_Service(collector), server)
    collector.grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait(SECONDS)
        http.shutdown()
        thread.join()
        http.server_close()
