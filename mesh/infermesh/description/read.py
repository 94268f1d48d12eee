"""Reads mesh.yaml: one environment of it, checked as a whole, and what it comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import create_model

from infermesh.description.environments import choose
from infermesh.description.mesh import Mesh
from infermesh.description.part import Part, installed_parts
from infermesh.description.placement import broken_rules
from infermesh.description.workload import Workload
from infermesh.errors import ConfigurationError
from infermesh.remarks import BrokenRule
from infermesh.settings.document import YamlDocument
from infermesh.settings.validate import broken, validate


@dataclass(frozen=True)
class Description:
    """A mesh that is right as far as its file says."""

    file: Path
    mesh: Mesh
    #: By name, in the order of the parts and of the file.
    workloads: Mapping[str, Workload]

    @property
    def folder(self) -> Path:
        """What paths are relative to."""
        return self.file.parent

    def mistake(self, workload: str, text: str) -> ConfigurationError:
        """What is wrong with a workload for somebody who runs it elsewhere; `text` goes on after its name."""
        document = YamlDocument.read(self.file)
        said = (path for path in document.lines if len(path) == 2 and path[1] == workload)
        where = self.workloads[workload].written or next(said, ())
        return broken(document, [BrokenRule(where, text)])


@cache
def schema() -> type[Mesh]:
    """The whole of mesh.yaml, with the parts that are installed."""
    fields: dict[str, Any] = {part.field: part.annotation for part in installed_parts()}
    return create_model("MeshFile", __base__=Mesh, __doc__=Mesh.__doc__, **fields)


def read(file: Path, environment: str | None = None) -> Description:
    """Read a file as one environment has it.

    Raises ConfigurationError with a line for each mistake: file, line, field, what was found and expected.
    """
    document = choose(YamlDocument.read(file), environment)
    mesh = validate(schema(), document).at(file.parent)
    workloads, rules = _workloads(mesh, installed_parts())
    for part in installed_parts():
        found = part.broken_rules(getattr(mesh, part.field), workloads, mesh)
        rules.extend(BrokenRule((part.field, *rule.path), rule.text) for rule in found)
    if rules:
        raise broken(document, rules)
    return Description(file, mesh, workloads)


def _workloads(mesh: Mesh, parts: Sequence[Part]) -> tuple[dict[str, Workload], list[BrokenRule]]:
    found: dict[str, Workload] = {}
    rules = []
    for part in parts:
        for workload in list(part.workloads(getattr(mesh, part.field), mesh, found)):
            where = workload.written or (part.field, workload.name)
            if workload.name in found:
                there = found[workload.name]
                text = (
                    f"found a second workload of this name, expected another: there is a {there.kind} of it"
                )
                rules.append(BrokenRule(where, text))
            found[workload.name] = workload
            placement = (*where, "placement")
            rules.extend(
                BrokenRule((*placement, *it.path), it.text) for it in broken_rules(workload.placement)
            )
    return found, rules
