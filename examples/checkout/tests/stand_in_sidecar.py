"""What the story asks of a sidecar, in a few lines: takes orders, asks the model, gives them to the shop."""

import argparse
import http.client
import json
import signal
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from checkout.features import INPUTS, columns
from tritonclient import grpc


def score(client: grpc.InferenceServerClient, order: bytes) -> float:
    values = columns([json.loads(order)])
    inputs = []
    for each in INPUTS:
        tensor = grpc.InferInput(each.name, [1, 1], each.datatype)
        tensor.set_data_from_numpy(values[each.name])
        inputs.append(tensor)
    return float(client.infer("fraud", inputs, client_timeout=20).as_numpy("score")[0, 0])


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("port", "admin", "shop", "grpc"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--mute", action="store_true")
    options = parser.parse_args()
    client = grpc.InferenceServerClient(f"127.0.0.1:{options.grpc}")

    class Orders(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave together.
        wbufsize = -1

        def do_POST(self) -> None:
            order = self.rfile.read(int(self.headers["Content-Length"]))
            if not options.mute:
                order = json.dumps({**json.loads(order), "risk": score(client, order)}).encode()
            with closing(http.client.HTTPConnection("127.0.0.1", options.shop, timeout=20)) as shop:
                shop.request("POST", self.path, order)
                answer = shop.getresponse()
                said = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    class Admin(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/ready" else 404)
            self.end_headers()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer.daemon_threads = True
    admin = ThreadingHTTPServer(("127.0.0.1", options.admin), Admin)
    orders = ThreadingHTTPServer(("127.0.0.1", options.port), Orders)
    threading.Thread(target=admin.serve_forever, daemon=True).start()
    orders.serve_forever()


main()
