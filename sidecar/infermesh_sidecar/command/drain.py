"""``infermesh sidecar drain``: asks for the end."""

import socket
import time

import typer
from infermesh.errors import InfermeshError
from infermesh.settings.values import split_address

from infermesh_sidecar.command import admin as endpoint

#: Between two looks at whether it is still there.
_PAUSE_SECONDS = 0.1


def run(admin: str, *, wait: bool, timeout: float) -> None:
    """Ask, and wait if that is wanted; raises InfermeshError if it does not end within so many seconds."""
    endpoint.post(admin, "/drain")
    if not wait:
        typer.echo(f"The sidecar at {admin} finishes what it has accepted, and ends")
        return
    end = time.monotonic() + timeout
    while _is_there(admin):
        if time.monotonic() >= end:
            raise InfermeshError(f"the sidecar at {admin} has not ended within {timeout:g} s")
        time.sleep(_PAUSE_SECONDS)
    typer.echo(f"The sidecar at {admin} has ended")


def _is_there(admin: str) -> bool:
    parts = split_address(admin)
    assert parts is not None
    try:
        socket.create_connection(parts, timeout=1.0).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True
