"""What a coordinator wants to know of a worker before it takes part."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from infermesh_perf.errors import SetupError
from infermesh_perf.load import worker_clock
from infermesh_perf.load.worker_address import WorkerAddress
from infermesh_perf.load.worker_clock import ClockOffset
from infermesh_perf.load.worker_link import WorkerLink


@dataclass(frozen=True)
class Greeting:
    """What a worker is."""

    address: WorkerAddress
    host: str
    cores: int
    clock: ClockOffset


def greet(link: WorkerLink, timeout: float) -> Greeting:
    """Asks a worker; no question takes longer than `timeout` seconds.

    Raises SetupError for a worker of another version and for what is no worker, RunError if it cannot be
    reached or too little is known about its clock.
    """
    said = link.get_clock(timeout)
    own = version("infermesh")
    if said.version != own:
        raise SetupError(
            f"worker {link.address} is of infermesh {said.version}, expected {own} as here",
            hint="install the same version on all machines",
        )
    clock = worker_clock.estimate(lambda: link.get_clock(timeout).unix_ns)
    worker_clock.check(clock, str(link.address))
    return Greeting(link.address, said.host, said.cores, clock)
