"""What those who watch may ask past Consul's proxy: single paths, each at a port of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infermesh.deploy.nomad.hcl import Block, block
from infermesh.deploy.nomad.place import NomadPlace
from infermesh.description.workload import ADMIN, METRICS, Container, Probe

#: Ports with metrics of Prometheus, and where.
_METRICS = {METRICS: "/metrics", ADMIN: "/metrics"}


@dataclass(frozen=True)
class Exposed:
    """A path of a container."""

    label: str
    path: str
    number: int


def metrics(containers: Sequence[Container], place: NomadPlace) -> Iterator[Exposed]:
    """For Prometheus."""
    for container in containers:
        for port in container.ports:
            if port in _METRICS:
                yield Exposed(f"{container.name}_metrics", _METRICS[port], place.number(port))


def probe(container: Container, what: str, asked: Probe, place: NomadPlace) -> Exposed | None:
    """For Consul's checks; None if it is not asked over HTTP."""
    if asked.path is None:
        return None
    return Exposed(f"{container.name}_{what}", asked.path, place.number(asked.port))


def path(exposed: Exposed) -> Block:
    """For Consul's proxy."""
    return block(
        "path",
        path=exposed.path,
        protocol="http",
        local_path_port=exposed.number,
        listener_port=exposed.label,
    )


def port(exposed: Exposed) -> Block:
    """For the network: any that is free, the same within and without."""
    return block("port", exposed.label, to=-1)
