"""What a sidecar is asked, and what is said where it cannot be asked."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from infermesh.errors import ConfigurationError, InfermeshError
from infermesh_sidecar.admin import Admin, UnreachableError
from support.native_proxy import proxying

NOBODY = """
services: {m: {endpoints: "127.0.0.1:1"}}
outbound: {listen: "127.0.0.1:0", service: m}
"""


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Somebody who answers the first bytes of each connection with these, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_sidecar_says_what_it_is_asked() -> None:
    with proxying(NOBODY) as running:
        admin = Admin(running.admin)
        assert admin.get("/live") == {"live": True}
        assert admin.get("/stats")["routes"][0]["route"] == "m"
        assert admin.text("/metrics").startswith("# HELP infermesh_proxy_")
        assert not running.proxy.drain_requested()
        admin.quit()
        assert running.proxy.drain_requested()


def test_it_can_be_asked_to_end() -> None:
    with proxying(NOBODY) as running:
        Admin(running.admin).drain()
        assert running.proxy.drain_requested()


@pytest.mark.parametrize("address", ["here", "127.0.0.1", "127.0.0.1:99999", ":1", "http://127.0.0.1:1"])
def test_what_is_no_address_is_a_mistake(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--admin: found '.*', expected HOST:PORT such as 127"):
        Admin(address)


def test_where_nobody_listens_it_is_said_what_to_do() -> None:
    with pytest.raises(UnreachableError) as caught:
        Admin("127.0.0.1:1").get("/stats")
    assert str(caught.value) == "nobody listens on 127.0.0.1:1"
    assert caught.value.hint == "is the sidecar running? --admin says where; in sidecar.yaml it is admin"
    with pytest.raises(UnreachableError, match=r"there is no host 'no-such-host\.invalid'"):
        Admin("no-such-host.invalid:1").get("/stats")


def test_one_that_says_nothing_is_not_waited_for() -> None:
    # Its backlog accepts the connection.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=f"{address} did not answer within 0.1 s"):
            Admin(address, 0.1).get("/stats")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "is not the admin endpoint of a sidecar: it speaks no HTTP"),
        (b"", "broke off in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "broke off in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "is not the admin endpoint of a sidecar: /stats is no JSON"),
        (b"HTTP/1.1 404 No\r\n\r\n<html>", "is not the admin endpoint of a sidecar: /stats answers 404"),
        (b'HTTP/1.1 403 Forbidden\r\n\r\n{"error": "no"}', "refuses /stats: no"),
    ],
)
def test_others_are_told_from_a_sidecar(answer: bytes, message: str) -> None:
    with answering(answer) as address, pytest.raises(InfermeshError) as caught:
        Admin(address).get("/stats")
    assert str(caught.value).startswith(address)
    assert message in str(caught.value)


def test_another_listener_of_the_sidecar_is_none() -> None:
    with proxying(NOBODY) as running:
        address = f"127.0.0.1:{running.ports['outbound']}"
        with pytest.raises(
            InfermeshError, match="is not the admin endpoint of a sidecar: /stats answers 404: "
        ):
            Admin(address).get("/stats")


def test_what_the_sidecar_does_not_know_is_a_mistake() -> None:
    with (
        proxying(NOBODY) as running,
        pytest.raises(ConfigurationError, match="found code 'GONE', expected a"),
    ):
        next(Admin(running.admin).tap({"code": "GONE"}))


def test_live_requests_come_as_lines() -> None:
    lines = [json.dumps({"event": "begin", "id": number}).encode() + b"\n" for number in range(3)]
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            # Pieces need not be lines.
            for piece in (lines[0] + lines[1][:5], lines[1][5:], lines[2]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        wanted = {"route": "a b", "code": ["5xx", "14"], "cluster": None}
        assert list(Admin(f"127.0.0.1:{server.server_port}").tap(wanted)) == lines
        server.shutdown()
    assert asked == ["/tap?route=a+b&code=5xx&code=14"]
