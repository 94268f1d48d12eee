"""Receives spans as a collector does: OTLP over HTTP (protobuf) and over gRPC, in threads of its own."""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from infermesh_perf.errors import SetupError

PATH = "/v1/traces"
CONTENT_TYPE = "application/x-protobuf"
#: One message may not be larger, compressed or not.
MAX_BYTES = 64 << 20
#: A client that says no more is let go.
IDLE_SECONDS = 60
STOP_SECONDS = 2.0
THREADS = 2

Take = Callable[[pb.ExportTraceServiceRequest], None]


@dataclass(frozen=True)
class Receiver:
    """Where it listens."""

    host: str
    http_port: int
    grpc_port: int

    @property
    def http_url(self) -> str:
        """For `--trace-config opentelemetry,url=...`, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT."""
        return f"http://{_bracketed(self.host)}:{self.http_port}{PATH}"

    @property
    def grpc_url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with OTEL_EXPORTER_OTLP_PROTOCOL=grpc."""
        return f"http://{_bracketed(self.host)}:{self.grpc_port}"


@contextmanager
def receiving(
    take: Take, *, host: str = "127.0.0.1", http_port: int = 0, grpc_port: int = 0
) -> Iterator[Receiver]:
    """Listens for as long as the block lasts; port 0 is any free one.

    `take` gets each message, from any thread. Raises SetupError if a port cannot be bound.
    """
    handler = type("Handler", (_Handler,), {"take": staticmethod(take)})
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        http = type("Server", (_Server,), {"address_family": family})((host, http_port), handler)
    except OSError as error:
        raise _taken(host, http_port, error) from error
    with http:
        service = grpc.server(
            ThreadPoolExecutor(THREADS),
            options=[("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)],
        )
        # The generated function has no types.
        add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
        add(_Service(take), service)
        try:
            bound = service.add_insecure_port(f"{_bracketed(host)}:{grpc_port}")
        except RuntimeError as error:
            raise _taken(host, grpc_port, error) from error
        service.start()
        thread = threading.Thread(target=http.serve_forever, args=(0.05,), name="otlp", daemon=True)
        thread.start()
        try:
            yield Receiver(host, http.server_port, bound)
        finally:
            service.stop(None).wait(STOP_SECONDS)
            http.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Its end waits for no client that keeps its connection open.
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    """POST /v1/traces; anything else is refused with a status that says why."""

    take: Take
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def do_POST(self) -> None:
        """One message."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            self._answer(411, close=True)
        elif int(length) > MAX_BYTES:
            self._answer(413, close=True)
        else:
            self._answer(self._status(self.rfile.read(int(length))))

    def _status(self, body: bytes) -> int:
        if self.path != PATH:
            return 404
        if self.headers.get_content_type() != CONTENT_TYPE:
            return 415
        try:
            if self.headers.get("content-encoding", "").lower() == "gzip":
                body = _unzip(body)
            type(self).take(pb.ExportTraceServiceRequest.FromString(body))
        except (DecodeError, zlib.error):
            return 400
        return 200

    def _answer(self, status: int, *, close: bool = False) -> None:
        self.send_response(status)
        self.send_header("content-type", CONTENT_TYPE)
        self.send_header("content-length", "0")
        if close:
            # What follows on this connection is the body that was not read.
            self.send_header("connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of the base
        """Says nothing."""


class _Service(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, take: Take) -> None:
        self._take = take

    def Export(self, request: Any, context: Any) -> pb.ExportTraceServiceResponse:  # noqa: N802, ARG002 - gRPC's
        self._take(request)
        return pb.ExportTraceServiceResponse()


def _unzip(body: bytes) -> bytes:
    """Raises zlib.error for what is no gzip, or more than MAX_BYTES of it."""
    stream = zlib.decompressobj(wbits=31)
    plain = stream.decompress(body, MAX_BYTES)
    if not stream.eof:
        raise zlib.error("cut off, or too large")
    return plain


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _taken(host: str, port: int, error: Exception) -> SetupError:
    hint = "choose another port, or 0 for a free one"
    return SetupError(f"traces cannot be received on {host}:{port}: {error}", hint)
