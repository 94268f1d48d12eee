"""A Pod, as what runs in it has to know it."""

from dataclasses import dataclass, field

from infermesh.deploy.kubernetes.services import endpoints_name
from infermesh.deploy.kubernetes.storage import mount_path
from infermesh.description.place import Duty, Reach
from infermesh.description.read import Description
from infermesh.description.workload import Workload

#: Where the Secret with an identity is mounted.
IDENTITY = "/var/run/infermesh/identity"

#: Where files are that were rendered.
FILES = "/etc/infermesh"


@dataclass(frozen=True)
class PodPlace:
    """The Pod of a workload."""

    description: Description
    workload: Workload
    duties: frozenset[Duty]
    #: What it was asked for, by where that is mounted.
    mounts: dict[str, str] = field(default_factory=dict)

    #: Others reach its ports by the Pod's address.
    is_private = False

    @property
    def identity(self) -> str | None:
        """A mounted Secret, if infermesh does TLS itself."""
        return IDENTITY if self.description.mesh.tls == "mutual" and "tls" not in self.duties else None

    def listen(self, port: str) -> str:
        """On all addresses, kubelet's probes among those who call; on the loopback for its own containers."""
        host = "127.0.0.1" if self.workload.port(port).audience == "itself" else "0.0.0.0"
        return f"{host}:{self.number(port)}"

    def number(self, port: str) -> int:
        """As the workload would have it: a Pod has a network of its own."""
        return self.workload.port(port).number

    def reach(self, workload: str, port: str) -> Reach:
        """By a Service of the same namespace: one address where the mesh around balances, else all Pods'."""
        name = workload if "balance" in self.duties else endpoints_name(workload)
        return Reach(dns=f"{name}:{self.description.workloads[workload].port(port).number}")

    def path(self, given: str) -> str:
        """A URL as it is; what is a path of this machine, where it is mounted."""
        if "://" in given:
            return given
        place = mount_path(given)
        self.mounts[place] = given
        return place

    def file(self, name: str) -> str:
        """In a mounted ConfigMap."""
        return f"{FILES}/{name}"
