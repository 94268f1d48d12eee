"""What containers may take of a node."""

from infermesh.deploy.kubernetes.objects import Object
from infermesh.description.placement import Placement
from infermesh.description.workload import Container

#: Of a main container of which nothing is said.
_CPU, _MEMORY = "500m", 2 << 30

#: Of a sidecar, which bounds its memory itself.
_SIDECAR_CPU, _SIDECAR_MEMORY = "100m", 512 << 20

GPU = "nvidia.com/gpu"


def resources(container: Container, placement: Placement) -> Object:
    """Requests, and a limit of memory.

    CPUs have none: a limit stops a process in the middle of a request while cores are idle.
    """
    if container.is_sidecar:
        most = container.memory or _SIDECAR_MEMORY
        return {
            "requests": {"cpu": _SIDECAR_CPU, "memory": _size(most // 4)},
            "limits": {"memory": _size(most)},
        }
    memory = _size(placement.memory or container.memory or _MEMORY)
    gpus = {GPU: placement.gpu} if placement.gpu else {}
    return {
        "requests": {"cpu": placement.cpu or _CPU, "memory": memory, **gpus},
        "limits": {"memory": memory, **gpus},
    }


def _size(number: int) -> str:
    """As Kubernetes writes it."""
    for unit, name in ((1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")):
        if number % unit == 0:
            return f"{number // unit}{name}"
    return str(number)
