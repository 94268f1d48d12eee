"""Where an instance of a workload runs: tasks of one network namespace, with Consul's proxy in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

from infermesh.deploy.mounts import Mounts
from infermesh.description.place import Duty, Reach
from infermesh.description.workload import Workload

#: The folder that Nomad gives each task.
FILES = "/local"

LOOPBACK = "127.0.0.1"

#: The first port where Consul's proxy takes requests for others.
_FIRST = 21000


@dataclass(frozen=True)
class NomadPlace:
    """A `Place`: everything listens on loopback, where Consul's proxy alone reaches it."""

    workload: Workload
    workloads: Mapping[str, Workload]
    identity: None = field(default=None, init=False)
    is_private: bool = field(default=False, init=False)
    #: Consul's proxy alone sees who calls, and who of those behind its address failed.
    duties: frozenset[Duty] = field(
        default=frozenset({"tls", "authorize", "balance", "breaker", "split"}), init=False
    )
    mounts: Mounts = field(default_factory=Mounts, init=False)

    def listen(self, port: str) -> str:
        """See `Place`."""
        return f"{LOOPBACK}:{self.number(port)}"

    def number(self, port: str) -> int:
        """See `Place`."""
        return self.workload.port(port).number

    def reach(self, workload: str, port: str) -> Reach:  # noqa: ARG002 - a proxy has one port for each
        """See `Place`."""
        return Reach([f"{LOOPBACK}:{self.upstreams()[workload]}"])

    def upstreams(self) -> Mapping[str, int]:
        """Where Consul's proxy takes requests for those that are called."""
        taken = {port.number for port in self.workload.ports}
        free = (number for number in count(_FIRST) if number not in taken)
        called = [name for name in self.workload.calls if name in self.workloads]
        return dict(zip(called, free, strict=False))

    def path(self, given: str) -> str:
        """See `Place`."""
        return self.mounts.seen(given)

    def file(self, name: str) -> str:
        """See `Place`."""
        return f"{FILES}/{name}"
