"""A data plane for sidecars in Python: real sockets, one answer.

Every listener answers HTTP with the name of its cluster, ``/slow`` only when the admin endpoint is told to
release it. That endpoint also shows what the process has called, and takes what the real one has of requests.
"""

import json
import queue
import socket
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infermesh.proto.infermesh_proxy_v1.proxy_pb2 import ProxyConfig

Record = tuple[float, str, str, str, dict[str, Any]]


class FakeHook:
    """A request that waits for a function; what it is answered is a call of the process."""

    def __init__(self, call: bytes, calls: list[list[Any]]) -> None:
        self.call: bytes | None = call
        self.wanted = True
        self._calls = calls

    def reply(self, reply: bytes) -> None:
        assert self.call is not None
        self.call = None
        self.wanted = False
        self._calls.append(["reply", json.loads(reply)])


class FakeProxy:
    """See ``infermesh_native.Proxy``."""

    def __init__(self, config: bytes, *, version: str) -> None:
        self.config = ProxyConfig.FromString(config)
        self.version = version
        if any(cluster.name == "wrong" for cluster in self.config.clusters):
            raise ValueError("clusters[0].name: found 'wrong', expected another")
        self.calls: list[list[Any]] = []
        self.ready = False
        self.released = threading.Event()
        self.in_flight = 0
        self.changed = threading.Condition()
        self._drain_requested = False
        self._servers: list[_Server] = []
        self._admin: ThreadingHTTPServer | None = None
        self._log: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._hooks: queue.SimpleQueue[FakeHook] = queue.SimpleQueue()
        self._captures: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def listen(self) -> dict[str, str]:
        bound = {}
        for listener in self.config.listeners:
            server = _Server(self, listener.address, listener.routes[-1].cluster)
            self._servers.append(server)
            bound[listener.name] = server.address
        return bound

    def listen_admin(self, host: str, port: int) -> tuple[str, int]:
        proxy = self

        class Handler(_Admin):
            asked = proxy

        self._admin = ThreadingHTTPServer((host, port), Handler)
        threading.Thread(target=self._admin.serve_forever, args=(0.05,), daemon=True).start()
        found = self._admin.server_address
        return str(found[0]), int(found[1])

    def set_ready(self, ready: bool) -> None:
        self.ready = ready
        self.calls.append(["set_ready", ready])

    def set_page(
        self, headers: list[tuple[str, str]], files: list[tuple[str, str, list[tuple[str, str]]]]
    ) -> None:
        self.calls.append(["set_page", len(headers), len(files)])

    def picture_wanted(self) -> bool:
        return False

    def drain_requested(self) -> bool:
        return self._drain_requested

    def request_drain(self) -> None:
        self._drain_requested = True

    def set_endpoints(self, cluster: str, endpoints: list[str]) -> None:
        self.calls.append(["set_endpoints", cluster, endpoints])

    def set_access_log(self, wanted: bool) -> None:
        self.calls.append(["set_access_log", wanted])

    def start_traces(
        self, rate: float, resource: Sequence[tuple[str, str]], queue: int, batch: int, delay: float
    ) -> None:
        self.calls.append(["start_traces", rate, dict(resource)["service.name"], queue, batch, delay])

    def take_spans(self, timeout: float) -> None:
        time.sleep(min(timeout, 0.05))

    def lose_spans(self, count: int) -> None:
        self.calls.append(["lose_spans", count])

    def flush_spans(self) -> None:
        self.calls.append(["flush_spans"])

    def say(self, message: str) -> None:
        """Put a record into the log."""
        self._log.put((0.0, "info", "fake-said", message, {}))

    def take_log(self, timeout: float) -> list[Record]:
        try:
            record = self._log.get(timeout=timeout)
        except queue.Empty:
            return []
        return [] if record is None else [record]

    def flush_log(self) -> None:
        self._log.put(None)

    def call_function(self, call: dict[str, Any]) -> None:
        """Have a request wait for a function."""
        self._hooks.put(FakeHook(json.dumps(call).encode(), self.calls))

    def take_hooks(self, timeout: float) -> list[FakeHook]:
        try:
            return [self._hooks.get(timeout=timeout)]
        except queue.Empty:
            return []

    def capture(self, record: bytes) -> None:
        """Keep a copy of a request."""
        self._captures.put(record)

    def take_captures(self, timeout: float) -> list[bytes]:
        try:
            record = self._captures.get(timeout=timeout)
        except queue.Empty:
            return []
        if record is None:
            # All that comes from now on finds this, too: nothing is waited for.
            self._captures.put(None)
            return []
        return [record]

    def flush_captures(self) -> None:
        self._captures.put(None)

    def drain(self, timeout: float) -> bool:
        self.calls.append(["drain", timeout])
        for server in self._servers:
            server.close()
        with self.changed:
            ended = self.changed.wait_for(lambda: self.in_flight == 0, timeout)
        if self._admin is not None:
            self._admin.shutdown()
            self._admin.server_close()
        return ended


class _Server:
    def __init__(self, proxy: FakeProxy, address: str, cluster: str) -> None:
        host, _, port = address.rpartition(":")
        self._proxy = proxy
        self._cluster = cluster
        try:
            self._socket = socket.create_server((host, int(port)))
        except OSError as error:
            raise OSError(f"cannot listen on {address}: {error.strerror}") from error
        self.address = f"{host}:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # A thread that waits in accept holds the socket.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            asked = connection.recv(4096)
            if not asked:
                return
            with self._proxy.changed:
                self._proxy.in_flight += 1
                self._proxy.changed.notify_all()
            try:
                if asked.startswith(b"GET /slow"):
                    self._proxy.released.wait()
                body = self._cluster.encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            finally:
                with self._proxy.changed:
                    self._proxy.in_flight -= 1
                    self._proxy.changed.notify_all()


class _Admin(BaseHTTPRequestHandler):
    asked: FakeProxy

    def do_GET(self) -> None:
        proxy = self.asked
        match self.path.partition("?")[0]:
            case "/ready":
                self._say({"ready": proxy.ready}, 200 if proxy.ready else 503)
            case "/calls":
                self._say(proxy.calls)
            case "/in-flight":
                self._say(proxy.in_flight)
            case _:
                self._say({"error": f"there is no {self.path}"}, 404)

    def do_POST(self) -> None:
        proxy = self.asked
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        match self.path:
            case "/drain" | "/quit":
                proxy.request_drain()
            case "/release":
                proxy.released.set()
            case "/say":
                proxy.say(body.decode())
            case "/call":
                proxy.call_function(json.loads(body))
            case "/capture":
                proxy.capture(body)
        self._say({}, 202)

    def _say(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
