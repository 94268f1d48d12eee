"""A collector that counts, `python -m infermesh_perf.bench.collector`: OTLP over HTTP in, a number out.

It prints the port that it listens on. It decodes everything that it gets, as any collector does, and keeps
nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATH = "/v1/traces"


class _Handler(BaseHTTPRequestHandler):
    """POST takes spans, GET says how many there were."""

    spans = 0

    def do_POST(self) -> None:
        """Decodes one request."""
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ExportTraceServiceRequest.FromString(body)
        scopes = (scope for resource in request.resource_spans for scope in resource.scope_spans)
        _Handler.spans += sum(len(scope.spans) for scope in scopes)
        self._answer(b"")

    def do_GET(self) -> None:
        """Answers the number of spans."""
        self._answer(json.dumps(_Handler.spans).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of the base
        """Says nothing."""


@contextmanager
def collecting() -> Iterator[int]:
    """A collector in a process of its own for as long as the block lasts; yields its port."""
    with subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def received(port: int) -> int:
    """How many spans the collector at this port has got."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
        return int(json.load(answer))


def main() -> None:
    """Listens until it is ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
