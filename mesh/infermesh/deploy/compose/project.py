"""compose.yaml and what it reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infermesh.deploy import yaml_text
from infermesh.deploy.compose import ports, service
from infermesh.deploy.compose.place import ComposePlace
from infermesh.deploy.compose.service import Object
from infermesh.deploy.images import image, refuse_absent
from infermesh.deploy.output import File
from infermesh.description.read import Description
from infermesh.description.workload import Container, Workload
from infermesh.errors import ConfigurationError

FILE = "compose.yaml"

_HEAD = """\
# Written by `infermesh render compose`: change mesh.yaml, or say in compose.override.yaml what is different.
"""


@dataclass(frozen=True)
class Where:
    """What is said beside mesh.yaml."""

    #: The folder of mesh.yaml, as seen from that of compose.yaml.
    home: str
    #: The address of this machine where people reach the mesh.
    host: str


def files(description: Description, where: Where) -> Iterator[File]:
    """All of them.

    Raises ConfigurationError for what Compose cannot run: apps without an image, two services of one name,
    replicas that would share a port of this machine.
    """
    services: dict[str, Object] = {}
    for workload in description.workloads.values():
        place = _place(workload, description, where)
        containers = workload.containers(place)
        refuse_absent(workload, containers[0], description)
        for name, found in _services(containers, place, description, where):
            if name in services:
                raise ConfigurationError(
                    f"{description.file}: two services would be called {name}, expected another name for "
                    f"{workload.name}"
                )
            services[name] = found
        for container in containers:
            for name, text in container.files.items():
                yield File(f"{workload.name}/{name}", text)
    yield File(FILE, _HEAD + yaml_text.one({"name": description.mesh.name, "services": services}))


def _place(workload: Workload, description: Description, where: Where) -> ComposePlace:
    is_mutual = description.mesh.tls == "mutual"
    is_private = where.host in (ports.LOOPBACK, "localhost", "[::1]")
    return ComposePlace(workload, description.workloads, is_mutual, is_private)


def _services(
    containers: Sequence[Container], place: ComposePlace, description: Description, where: Where
) -> Iterator[tuple[str, Object]]:
    workload = place.workload
    replicas = _replicas(workload)
    sidecars = [it for it in containers if it.is_sidecar]
    if not sidecars:
        ports.refuse_shared(workload, replicas)
        reached = ports.published(workload, 0, description.workloads, where.host)
        found = _main(containers[0], place, description, where)
        if replicas > 1:
            # podman-compose takes the number to be meant only where the mode is said, too.
            found["deploy"] = {"mode": "replicated", "replicas": replicas, **found.get("deploy", {})}
        yield workload.name, {**found, **({"ports": reached} if reached else {})}
        return
    # One service cannot stand beside each replica of another one: each replica is a service.
    for index in range(replicas):
        own = workload.name if index == 0 else f"{workload.name}-{index + 1}"
        yield from _beside(own, index, containers, place, description, where)


def _beside(
    own: str,
    index: int,
    containers: Sequence[Container],
    place: ComposePlace,
    description: Description,
    where: Where,
) -> Iterator[tuple[str, Object]]:
    """The main container in the network of its first sidecar, which is there before it and after it."""
    workload = place.workload
    sidecars = [it for it in containers if it.is_sidecar]
    holder = f"{own}-{sidecars[0].name}"
    shared = f"service:{holder}"
    for sidecar in sidecars:
        found = _ours(sidecar, place, description, where)
        # Ready is who has an app that is ready: the app can wait for its life alone.
        found["healthcheck"] = service.healthcheck(sidecar.alive or sidecar.ready, place)
        if sidecar.memory is not None:
            found["deploy"] = service.memory(sidecar.memory)
        if sidecar is sidecars[0]:
            found["networks"] = {"default": {"aliases": [workload.name]}}
            reached = ports.published(workload, index, description.workloads, where.host)
            found |= {"ports": reached} if reached else {}
        else:
            found["network_mode"] = shared
        yield f"{own}-{sidecar.name}", found
    found = _main(containers[0], place, description, where)
    found["network_mode"] = shared
    found["depends_on"] = {
        f"{own}-{it.name}": {"condition": "service_healthy", "restart": True} for it in sidecars
    }
    yield own, found


def _main(container: Container, place: ComposePlace, description: Description, where: Where) -> Object:
    resources = service.resources(place.workload.placement)
    if not container.is_ours:
        return {**service.common(container, image(container, place.workload, description)), **resources}
    found = _ours(container, place, description, where)
    return {**found, "healthcheck": service.healthcheck(container.ready, place), **resources}


def _ours(container: Container, place: ComposePlace, description: Description, where: Where) -> Object:
    found = service.common(container, image(container, place.workload, description))
    if volumes := service.volumes(container, place, where.home):
        found["volumes"] = volumes
    if container.files:
        found["labels"] = {"infermesh.files": service.digest(container.files)}
    return found


def _replicas(workload: Workload) -> int:
    # Compose does not scale by itself.
    scale = workload.placement.autoscale
    return workload.placement.replicas if scale is None else scale.min
