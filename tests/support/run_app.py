"""An app that knows nothing of any proxy, as a process of its own: ``run_app.py PORT``, 0 for any.

It says on stdout what it is asked for. ``/`` answers at once, ``/slow`` after half a minute, ``/endless``
begins an answer and goes on a byte at a time, ``/broken`` leaves in the middle of one.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECONDS = 30.0
PAUSE_SECONDS = 0.05


class App(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        say("app-asked", **{"url.path": self.path})
        match self.path:
            case "/slow":
                time.sleep(SECONDS)
                self._answer(b"at last")
            case "/endless":
                self._head(1_000_000)
                for _ in range(round(SECONDS / PAUSE_SECONDS)):
                    self.wfile.write(b".")
                    time.sleep(PAUSE_SECONDS)
            case "/broken":
                self._head(1_000)
                self.wfile.write(b"half of")
                self.close_connection = True
            case _:
                self._answer(b"here")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["content-length"])))

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def _answer(self, body: bytes) -> None:
        self._head(len(body))
        self.wfile.write(body)

    def _head(self, length: int) -> None:
        self.send_response(200)
        self.send_header("content-length", str(length))
        self.end_headers()


class Server(ThreadingHTTPServer):
    """Says nothing of clients that leave."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """That is their right."""


def say(action: str, **fields: object) -> None:
    """One line of log."""
    print(json.dumps({"event.action": action, **fields}), flush=True)


def main(port: str) -> None:
    """Serve until somebody ends the process."""
    server = Server(("127.0.0.1", int(port)), App)
    say("app-ready", **{"server.port": server.server_port})
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
