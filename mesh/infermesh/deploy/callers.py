"""Who calls whom, the other way round: of each workload those that call it."""

from collections.abc import Sequence

from infermesh.description.read import Description
from infermesh.description.workload import GRPC, Workload


def callers(description: Description, called: Workload) -> Sequence[str]:
    """The names of those that call it, in the order of the mesh."""
    return [it.name for it in description.workloads.values() if called.name in it.calls]


def is_open(workload: Workload, description: Description) -> bool:
    """Whether anybody may call it: what is called from outside, and apps, as `calls` names servers alone."""
    return is_outside(workload, description) or not workload.has_port(GRPC)


def is_outside(workload: Workload, description: Description) -> bool:
    """Whether it is called from outside the mesh: it is exposed, or takes a share of one that is."""
    shared = (it for it in description.workloads.values() if workload.name in it.split)
    return any(it.exposed is not None for it in (workload, *shared))


def entrance(workload: Workload) -> str | None:
    """The name of the port where others of the mesh call it; None: nobody can."""
    return next((port.name for port in workload.ports if port.audience == "mesh"), None)
