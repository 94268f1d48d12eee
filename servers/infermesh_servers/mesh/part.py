"""The fields `servers` and, for one server that needs no more than a folder, `models`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from infermesh.description.mesh import Label, Mesh
from infermesh.description.workload import Workload
from infermesh.remarks import BrokenRule
from infermesh.settings.forms import OneOrMany, Short
from infermesh.settings.names import Name
from pydantic import Field

from infermesh_servers.mesh.canary import broken_rules, canary_name, second
from infermesh_servers.mesh.server import Canary, Server
from infermesh_servers.mesh.workload import ServerWorkload, ports

#: What the server of the field `models` is called.
ONLY = "models"


class Servers:
    """Model servers by name."""

    field = "servers"
    stage = 0
    annotation: Any = (
        dict[Label, Annotated[Server, Short("models")]],
        Field(default={}, description="Model servers by name; a repository by itself is enough."),
    )

    def workloads(
        self, section: Mapping[str, Server], mesh: Mesh, _others: Mapping[str, Workload]
    ) -> Iterator[Workload]:
        """One for each, and one for each canary."""
        for name, server in section.items():
            found = _workload(name, server, mesh)
            if server.canary is None:
                yield found
                continue
            other = _workload(canary_name(name), second(server, server.canary), mesh)
            yield replace(found, split={other.name: server.canary.share})
            yield replace(other, tag=server.canary.tag, written=(self.field, name, "canary"))

    def broken_rules(
        self, section: Mapping[str, Server], _workloads: Mapping[str, Workload], mesh: Mesh
    ) -> Iterator[BrokenRule]:
        """Repositories that are not there, and canaries that cannot answer for the first one."""
        for name, server in section.items():
            for index, text in _missing(server.models, mesh.folder):
                yield BrokenRule((name, "models", index), text)
            if server.canary is not None:
                for rule in _of_canary(server, server.canary, mesh.folder):
                    yield BrokenRule((name, "canary", *rule.path), rule.text)


class Models:
    """Repositories of one server that is called `models`."""

    field = "models"
    stage = 0
    annotation: Any = (
        Annotated[list[Name], OneOrMany()],
        Field(default=[], description="Model repositories of one server, in place of `servers`."),
    )

    def workloads(
        self, section: Sequence[str], mesh: Mesh, _others: Mapping[str, Workload]
    ) -> Iterator[Workload]:
        """One, if there are any."""
        if section:
            yield from SERVERS.workloads({ONLY: Server(models=list(section))}, mesh, _others)

    def broken_rules(
        self, section: Sequence[str], _workloads: Mapping[str, Workload], mesh: Mesh
    ) -> Iterator[BrokenRule]:
        """Repositories that are not there."""
        for index, text in _missing(section, mesh.folder):
            yield BrokenRule((index,), text)


def _workload(name: str, server: Server, mesh: Mesh) -> ServerWorkload:
    return ServerWorkload(
        name=name,
        kind="server",
        placement=server.placement,
        ports=ports(server.ports),
        policies=server,
        objective=server.objective,
        models=_served(server, mesh.folder),
        exposed=server.expose,
        server=server,
        collector=mesh.collector,
    )


def _served(server: Server, folder: Path) -> Sequence[str]:
    """None where they are said in a repository elsewhere."""
    return server.load or list(models_of(server.models, folder))


def _of_canary(server: Server, canary: Canary, folder: Path) -> Iterator[BrokenRule]:
    yield from broken_rules(canary)
    repositories = canary.models or []
    missed = list(_missing(repositories, folder))
    yield from (BrokenRule(("models", index), text) for index, text in missed)
    other = second(server, canary)
    if missed or any(map(is_url, other.models)) or not canary.share:
        return
    there = set(models_of(other.models, folder))
    loaded = there.intersection(other.load) if other.load else there
    if absent := [model for model in _served(server, folder) if model not in loaded]:
        text = f"found no model {', '.join(absent)}, expected what the first one has: requests come for all"
        yield BrokenRule(("models" if canary.load is None else "load",), text)


def _missing(repositories: Sequence[str], folder: Path) -> Iterator[tuple[int, str]]:
    for index, repository in enumerate(repositories):
        if (text := missing(repository, folder)) is not None:
            yield index, text


def models_of(repositories: Sequence[str], folder: Path) -> Iterator[str]:
    """The models in those repositories that are folders here."""
    for repository in repositories:
        place = folder / repository
        if is_url(repository) or not place.is_dir():
            continue
        for model in sorted(place.iterdir()):
            if model.is_dir() and not model.name.startswith("."):
                yield model.name


def missing(repository: str, folder: Path) -> str | None:
    """What is wrong with a repository that has to be a folder."""
    if is_url(repository) or (folder / repository).is_dir():
        return None
    what = "no folder" if (folder / repository).exists() else "nothing of this name"
    return (
        f"found {what}: {folder / repository}, expected a model repository, such as models/NAME/1/model.onnx"
    )


def is_url(repository: str) -> bool:
    """Whether it is somewhere else."""
    return "://" in repository


SERVERS = Servers()
MODELS = Models()
