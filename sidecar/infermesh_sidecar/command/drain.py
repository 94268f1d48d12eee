"""``infermesh sidecar drain``: asks for the end."""

import time
from collections.abc import Callable

import typer
from infermesh.errors import InfermeshError

from infermesh_sidecar.admin import Admin

#: Between two looks at whether it is still there.
_PAUSE_SECONDS = 0.1

#: A sidecar that has no time for an answer is still there.
_LOOK_SECONDS = 1.0


def run(
    address: str,
    *,
    wait: bool,
    timeout: float,
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Ask, and wait for the end if that is wanted, for ``timeout`` seconds.

    Raises InfermeshError if there is no sidecar, or if it has not ended by then.
    """
    Admin(address).drain()
    if not wait:
        typer.echo(f"The sidecar at {address} finishes what it has accepted, and ends")
        return
    end, look = now() + timeout, _Look(Admin(address, _LOOK_SECONDS))
    while not look.has_ended():
        if now() >= end:
            raise InfermeshError(f"the sidecar at {address} has not ended within {timeout:g} s{look.rest}")
        pause(_PAUSE_SECONDS)
    typer.echo(f"The sidecar at {address} has ended")


class _Look:
    """What is known of a sidecar that is to end."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._uptime = 0.0
        #: What it still does, for a message.
        self.rest = ""

    def has_ended(self) -> bool:
        try:
            stats = self._admin.get("/stats")
        except InfermeshError as error:
            # One that does not answer well may be busy with its end.
            return isinstance(error.__cause__, ConnectionRefusedError)
        # Another one may have taken its place already.
        if stats["uptime_seconds"] < self._uptime:
            return True
        self._uptime = stats["uptime_seconds"]
        count = sum(route["requests_in_flight"] for route in stats["routes"])
        self.rest = f": {count} requests are still under way" if count else ""
        return False
