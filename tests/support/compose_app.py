"""An app that asks a model through its sidecar, and says what it said."""

import json
import os
import signal
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8070


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        if self.path != "/healthz":
            self.wfile.write(_asked())

    def log_message(self, *_: object) -> None:
        pass


def _asked() -> bytes:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    request = urllib.request.Request(
        f"{os.environ['INFERMESH_URL']}/v2/models/scale/infer",
        json.dumps({"inputs": [tensor]}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body


if __name__ == "__main__":
    # The first process of a container has no default for it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("127.0.0.1", PORT), _Handler).serve_forever()
