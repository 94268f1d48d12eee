"""Who calls whom, the other way round: of each workload those that call it."""

from collections.abc import Sequence

from infermesh.description.read import Description
from infermesh.description.workload import Workload


def callers(description: Description, called: Workload) -> Sequence[str]:
    """The names of those that call it, in the order of the mesh; none: anybody may.

    So it is with what nobody says that he calls, such as an app, and with what is called from outside.
    """
    if called.exposed is not None:
        return []
    return [it.name for it in description.workloads.values() if called.name in it.calls]


def entrance(workload: Workload) -> str | None:
    """The name of the port where others of the mesh call it; None: nobody can."""
    return next((port.name for port in workload.ports if port.audience == "mesh"), None)
