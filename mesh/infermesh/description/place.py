"""What somebody who is run somewhere has to know of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

#: What a mesh around may do for a caller, so that a sidecar must not do it again.
Duty = Literal["tls", "authorize", "retry", "timeout", "breaker", "balance", "split"]


@dataclass(frozen=True)
class Reach:
    """Where another workload is found: known addresses, or a name with all of them behind it."""

    endpoints: Sequence[str] = ()
    dns: str | None = None


class Place(Protocol):
    """Where one instance of a workload runs."""

    @property
    def identity(self) -> str | None:
        """The folder of its identity (`tls.crt`, `tls.key`, `ca.crt`); None where it has none of its own."""

    @property
    def is_private(self) -> bool:
        """Whether nobody else reaches its ports, as on a loopback."""

    @property
    def duties(self) -> frozenset[Duty]:
        """What the mesh around does."""

    def listen(self, port: str) -> str:
        """HOST:PORT where one of its own ports listens."""

    def number(self, port: str) -> int:
        """The number of one of its own ports."""

    def reach(self, workload: str, port: str) -> Reach:
        """Where to find somebody else."""

    def path(self, given: str) -> str:
        """Where it finds a file or folder that mesh.yaml names; what is a URL stays as it is."""

    def file(self, name: str) -> str:
        """Where it finds a file that is written for it."""
