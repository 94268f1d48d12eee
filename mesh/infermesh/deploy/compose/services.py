"""The services of one workload: how its containers stand together, and how many of them there are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from infermesh.deploy.compose import ports, service
from infermesh.deploy.compose.place import ComposePlace
from infermesh.deploy.compose.service import Object
from infermesh.deploy.images import required_image
from infermesh.description.read import Description
from infermesh.description.workload import Container, Workload


@dataclass(frozen=True)
class Where:
    """What is said beside mesh.yaml."""

    #: The folder of mesh.yaml, as seen from that of compose.yaml.
    home: str
    #: The address of this machine where people reach the mesh.
    people: ports.Address


@dataclass(frozen=True)
class Services:
    """Of one workload."""

    workload: Workload
    containers: Sequence[Container]
    place: ComposePlace
    description: Description
    where: Where

    def named(self) -> Iterator[tuple[str, Object]]:
        """All of them, with their names.

        Raises ConfigurationError for containers without an image, and for replicas that would share a port of
        this machine.
        """
        name, replicas = self.workload.name, self._replicas
        if len(self.containers) == 1:
            ports.refuse_shared(self.workload, replicas)
            found = self._service(self._main, name, 0)
            if replicas > 1:
                # podman-compose takes the number to be meant only where the mode is said, too.
                found["deploy"] = {"mode": "replicated", "replicas": replicas, **found.get("deploy", {})}
            yield name, found
            return
        # One service cannot stand beside each replica of another one: each replica has services of its own.
        for index in range(replicas):
            own = name if index == 0 else f"{name}-{index + 1}"
            for container in self._ordered:
                yield self._name(container, own), self._service(container, own, index)

    @property
    def _replicas(self) -> int:
        # Compose does not scale by itself.
        scale = self.workload.placement.autoscale
        return self.workload.placement.replicas if scale is None else scale.min

    @property
    def _main(self) -> Container:
        return self.containers[0]

    @cached_property
    def _ordered(self) -> Sequence[Container]:
        """As they start: the first one holds the network that the others join, and ends last."""
        return sorted(self.containers, key=lambda it: not it.is_sidecar)

    def _name(self, container: Container, own: str) -> str:
        return own if container is self._main else f"{own}-{container.name}"

    def _service(self, container: Container, own: str, index: int) -> Object:
        found = service.common(container, required_image(container, self.workload, self.description))
        if container.is_ours:
            found |= service.ours(container, self.place, self.where.home)
        if container is self._main:
            found |= service.resources(self.workload.placement)
        elif container.memory is not None:
            found |= {"deploy": service.memory(container.memory)}
        found |= self._network(container, own, index)
        sidecars = [] if container.is_sidecar else [it for it in self._ordered if it.is_sidecar]
        if sidecars:
            # Compose starts it anew after them, too: what it had joined would be gone.
            after = {"condition": "service_healthy", "restart": True}
            found["depends_on"] = {self._name(it, own): after for it in sidecars}
        return found

    def _network(self, container: Container, own: str, index: int) -> Object:
        holder = self._ordered[0]
        if container is not holder:
            return {"network_mode": f"service:{self._name(holder, own)}"}
        found: Object = {}
        if holder is not self._main or index > 0:
            found["networks"] = {"default": {"aliases": [self.workload.name]}}
        if reached := ports.published(self.workload, index, self.description.workloads, self.where.people):
            found["ports"] = reached
        return found
