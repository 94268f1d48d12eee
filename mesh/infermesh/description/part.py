"""One kind of things that a mesh is made of: a field of mesh.yaml, and the workloads that it comes to.

A distribution adds one through the entry point group ``infermesh.parts``; the object is a `Part`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol

from infermesh.description.mesh import Mesh
from infermesh.description.workload import Workload
from infermesh.remarks import BrokenRule

GROUP = "infermesh.parts"


class Part(Protocol):
    """A field of mesh.yaml."""

    #: What the field is called.
    field: str
    #: Parts of an earlier stage are there for those of later ones to call: 0 models, 1 who calls them.
    stage: int
    #: What it may hold, as pydantic has it, its default and its description among it.
    annotation: Any

    def workloads(self, section: Any, mesh: Mesh, others: Mapping[str, Workload]) -> Iterator[Workload]:
        """What a valid section comes to. `others` are those of parts before this one, and in time all."""

    def broken_rules(
        self, section: Any, workloads: Mapping[str, Workload], mesh: Mesh
    ) -> Iterator[BrokenRule]:
        """What does not fit together, with paths below the section; `workloads` are all that there are."""


@cache
def installed_parts() -> Sequence[Part]:
    """All of them, those first that others call."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return sorted((point.load() for point in points), key=lambda part: part.stage)
