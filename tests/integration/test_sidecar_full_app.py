"""An app that is behind with accepting: who connects is dropped, and sidecars wait for the next try."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.sidecar import SECONDS, Sidecar, ask, until, write_config

#: Of a socket whose first packet was not answered so far, in proc_net_tcp(5).
SYN_SENT = "02"


def waits_to_connect(port: int) -> bool:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = [line.split() for line in lines]
    return any(it[2].endswith(f":{port:04X}") and it[3] == SYN_SENT for it in sockets)


def answer(app: socket.socket, body: bytes) -> None:
    connection, _ = app.accept()
    with connection:
        connection.settimeout(SECONDS)
        while b"\r\n\r\n" not in connection.recv(65536):
            pass
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)


def test_a_request_waits_until_the_app_accepts(tmp_path: Path) -> None:
    # Room for one.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as app, ThreadPoolExecutor(1) as caller:
        app.settimeout(SECONDS)
        port = app.getsockname()[1]
        inbound = {"listen": "127.0.0.1:0", "app": f"127.0.0.1:{port}"}
        sidecar = Sidecar("--config", write_config(tmp_path, inbound=inbound))
        try:
            sidecar.wait_for("sidecar-ready")
            with socket.create_connection(("127.0.0.1", port)):
                asked = caller.submit(ask, sidecar.port("inbound"), "/orders")
                until(lambda: waits_to_connect(port))
                app.accept()[0].close()
            answer(app, b'{"order": 7}')
            assert asked.result(SECONDS) == (200, {"order": 7})
            sidecar.terminate()
            assert sidecar.wait() == 0, sidecar.errors
        finally:
            sidecar.kill()
