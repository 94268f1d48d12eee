"""One instance of a workload on this machine: the place where it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infermesh.description.place import Duty, Reach
from infermesh.description.workload import Workload
from infermesh.launch.ports import HOST, Owner


@dataclass(frozen=True)
class Site:
    """What all instances of a mesh have in common here."""

    #: What paths of mesh.yaml are relative to.
    folder: Path
    #: Where files of this run are kept.
    state: Path
    ports: Mapping[Owner, int]
    workloads: Mapping[str, Workload]
    #: Whether everybody has an identity.
    mutual: bool

    def identity(self, workload: str) -> Path:
        """The folder of somebody's identity."""
        return self.state / "identity" / workload


@dataclass(frozen=True)
class Instance:
    """A `Place`: one of the replicas of a workload, on loopback."""

    site: Site
    workload: Workload
    index: int
    is_private: bool = field(default=True, init=False)
    duties: frozenset[Duty] = field(default=frozenset(), init=False)

    @property
    def name(self) -> str:
        """That of the workload, numbered where there are several."""
        several = self.workload.placement.replicas > 1
        return f"{self.workload.name}-{self.index + 1}" if several else self.workload.name

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.site.state / "instances" / self.name

    @property
    def identity(self) -> str | None:
        """See `Place`."""
        return str(self.site.identity(self.workload.name)) if self.site.mutual else None

    def listen(self, port: str) -> str:
        """See `Place`."""
        return f"{HOST}:{self.number(port)}"

    def number(self, port: str) -> int:
        """See `Place`."""
        return self.site.ports[self.workload.name, self.index, port]

    def reach(self, workload: str, port: str) -> Reach:
        """See `Place`."""
        replicas = range(self.site.workloads[workload].placement.replicas)
        return Reach([f"{HOST}:{self.site.ports[workload, index, port]}" for index in replicas])

    def path(self, given: str) -> str:
        """See `Place`."""
        return given if "://" in given else str((self.site.folder / given).absolute())

    def file(self, name: str) -> str:
        """See `Place`."""
        return str(self.folder / name)
