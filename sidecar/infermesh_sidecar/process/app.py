"""Whether an app is there yet, or still."""

import socket
import time
from collections.abc import Callable

from infermesh_sidecar.process.launch import App

#: Time for one look.
_LOOK_SECONDS = 1.0
#: Between two looks.
_PAUSE_SECONDS = 0.1
#: More than the first line of an answer has.
_MAX_STATUS_LINE = 512

#: Waits so many seconds, or less if there is a reason to stop; returns whether there is.
Wait = Callable[[float], bool]


def wait_for_answer(app: App, wait: Wait, now: Callable[[], float] = time.monotonic) -> str | None:
    """Return None as soon as the app answers or ``wait`` says stop; after its time, why it does not."""
    end = now() + app.timeout
    while (problem := look(app.address, app.path)) is not None:
        if now() >= end:
            return problem
        if wait(_PAUSE_SECONDS):
            break
    return None


def wait_for_end(
    address: str,
    seconds: float,
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> bool:
    """Return True as soon as nobody accepts connections at an address, False after so many seconds."""
    end = now() + seconds
    while accepts(address):
        if now() >= end:
            return False
        pause(_PAUSE_SECONDS)
    return True


def look(address: str, path: str) -> str | None:
    """None if an app accepts a connection and, if there is a path, answers it well; else what is wrong."""
    try:
        with _connected(address) as connection:
            return _ask(connection, address, path) if path else None
    except OSError as error:
        return error.strerror or str(error)


def accepts(address: str) -> bool:
    """Whether somebody accepts connections; an app that is merely too busy to do so is taken to be there."""
    try:
        _connected(address).close()
    except (TimeoutError, BlockingIOError):
        # The second is what a unix socket says whose backlog is full.
        return True
    except OSError:
        return False
    return True


def _connected(address: str) -> socket.socket:
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_LOOK_SECONDS)
        try:
            connection.connect(address.removeprefix("unix:"))
        except OSError:
            connection.close()
            raise
        return connection
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK_SECONDS)


def _ask(connection: socket.socket, address: str, path: str) -> str | None:
    host = "localhost" if address.startswith("unix:") else address
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: infermesh-sidecar\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(request.encode())
    # One read is enough for any server that does not dribble.
    line = connection.recv(_MAX_STATUS_LINE).partition(b"\r\n")[0].decode("latin-1")
    protocol, _, rest = line.partition(" ")
    status = rest[:3]
    if not protocol.startswith("HTTP/1.") or not status.isdecimal():
        return f"it answers {line[:40]!r}, which is no HTTP/1.1"
    return None if int(status) < 400 else f"{path} answers {status}"
