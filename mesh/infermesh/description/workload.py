"""What a mesh comes to: workloads, each of containers that stand and fall together."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from infermesh.description.objective import Objective
from infermesh.description.place import Place
from infermesh.description.placement import Placement
from infermesh.policies.requests import Policies
from infermesh.remarks import Path

#: Names of ports that every target knows the meaning of.
GRPC, HTTP, METRICS, ADMIN, INBOUND, OUTBOUND = "grpc", "http", "metrics", "admin", "inbound", "outbound"


@dataclass(frozen=True)
class Port:
    """Where something listens."""

    name: str
    #: In a network of its own, such as a Pod's.
    number: int
    protocol: Literal["grpc", "http"]
    #: Who reaches it: other workloads, those who watch, or the workload's own containers.
    audience: Literal["mesh", "operators", "itself"] = "mesh"
    #: On a machine that it shares, if it has to be that one; None: any that is free.
    fixed: int | None = None
    #: Whether somebody else listens there who is not started with the rest.
    is_foreign: bool = False


@dataclass(frozen=True)
class Probe:
    """How it is told that a container is ready, or alive."""

    port: str
    #: Of an HTTP GET; None: gRPC's health service is asked, or a connection is enough.
    path: str | None
    kind: Literal["http", "grpc", "tcp"] = "http"


@dataclass(frozen=True)
class Allowance:
    """Allows something to somebody; what is empty holds for everybody, or everything."""

    #: SPIFFE ids, and HTTP paths or `/package.Service/Method`; a `*` at the end stands for anything.
    identities: Sequence[str] = ()
    paths: Sequence[str] = ()
    #: HTTP methods.
    methods: Sequence[str] = ()


@dataclass(frozen=True)
class Container:
    """One process: of infermesh, or of people."""

    name: str
    #: `server`, `server_gpu` or `sidecar` for what infermesh brings, else a registry's name; empty: unknown.
    image: str
    #: Arguments of `infermesh`, or a whole command of people's.
    command: Sequence[str]
    is_ours: bool
    ready: Probe
    alive: Probe | None = None
    #: Starts before the main one and ends after it.
    is_sidecar: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Text that it reads, by file name; `Place.file` says where it lies.
    files: Mapping[str, str] = field(default_factory=dict)
    #: Names of its ports.
    ports: Sequence[str] = ()
    #: Where it starts, relative to mesh.yaml; for people's commands on this machine.
    directory: str = "."
    #: Time that it takes to end at most.
    grace: timedelta = timedelta(seconds=30)
    #: Of its image, if infermesh brings that; None: as mesh.yaml says of all.
    tag: str | None = None
    #: Memory that it takes at most, in bytes, where it bounds that itself.
    memory: int | None = None
    #: Folders that it writes to, as `Place.path` gives them.
    writes: Sequence[str] = ()


@dataclass(frozen=True)
class Workload(ABC):
    """Something that runs once or several times, is called by a name, and has one identity."""

    name: str
    #: What it is: `server`, `app`.
    kind: str
    placement: Placement
    ports: Sequence[Port]
    #: How others call it; what nobody said is not in it.
    policies: Policies | None = None
    #: What they are promised.
    objective: Objective = field(default_factory=Objective)
    #: The v2 models that it answers.
    models: Sequence[str] = ()
    #: Those that it calls, by name.
    calls: Sequence[str] = ()
    #: Who may do what, where that is said; anything else is refused then.
    allow: Sequence[Allowance] = ()
    #: The host by which it is called from outside the mesh, if it is.
    exposed: str | None = None
    #: Shares of the requests to it that other workloads take, by their names; the rest is its own. Who may
    #: call it may call these, too.
    split: Mapping[str, float] = field(default_factory=dict)
    #: Where mesh.yaml says it; empty: in the part's field, by its name.
    written: Path = ()

    @abstractmethod
    def containers(self, place: Place) -> Sequence[Container]:
        """What runs there, the main one first."""

    def port(self, name: str) -> Port:
        """One of its ports."""
        return next(port for port in self.ports if port.name == name)

    def has_port(self, name: str) -> bool:
        """Whether it has such a port."""
        return any(port.name == name for port in self.ports)
