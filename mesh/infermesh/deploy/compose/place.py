"""Where an instance of a workload runs: containers of one network namespace."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from infermesh.deploy.mounts import Mounts
from infermesh.description.place import Duty, Reach
from infermesh.description.workload import Workload

#: The folder of the files that are written for a container.
FILES = "/etc/infermesh"

#: The folder of an identity.
IDENTITY = "/run/identity"


@dataclass(frozen=True)
class ComposePlace:
    """A `Place`: each workload is a host of its name, with ports of its own."""

    workload: Workload
    workloads: Mapping[str, Workload]
    is_mutual: bool
    #: Whether this machine alone, and those of the mesh, reach it.
    is_private: bool
    duties: frozenset[Duty] = field(default=frozenset(), init=False)
    mounts: Mounts = field(default_factory=Mounts, init=False)

    @property
    def identity(self) -> str | None:
        """See `Place`."""
        return IDENTITY if self.is_mutual else None

    def listen(self, port: str) -> str:
        """See `Place`."""
        is_own = self.workload.port(port).audience == "itself"
        return f"{'127.0.0.1' if is_own else '0.0.0.0'}:{self.number(port)}"

    def number(self, port: str) -> int:
        """See `Place`."""
        return self.workload.port(port).number

    def reach(self, workload: str, port: str) -> Reach:
        """See `Place`. A name has the addresses of all replicas behind it."""
        return Reach(dns=f"{workload}:{self.workloads[workload].port(port).number}")

    def path(self, given: str) -> str:
        """See `Place`."""
        return self.mounts.seen(given)

    def file(self, name: str) -> str:
        """See `Place`."""
        return f"{FILES}/{name}"
