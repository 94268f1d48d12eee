"""The fields `servers` and, for one server that needs no more than a folder, `models`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from infermesh.description.mesh import Label, Mesh
from infermesh.description.workload import Workload
from infermesh.remarks import BrokenRule
from infermesh.settings.forms import OneOrMany, Short
from infermesh.settings.names import Name
from pydantic import Field

from infermesh_servers.mesh.server import Server
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
        """One for each."""
        for name, server in section.items():
            yield ServerWorkload(
                name=name,
                kind="server",
                placement=server.placement,
                ports=ports(server.ports),
                policies=server,
                objective=server.objective,
                models=server.load or list(models_of(server.models, mesh.folder)),
                exposed=server.expose,
                server=server,
                collector=mesh.collector,
            )

    def broken_rules(
        self, section: Mapping[str, Server], _workloads: Mapping[str, Workload], mesh: Mesh
    ) -> Iterator[BrokenRule]:
        """Repositories that are not there."""
        for name, server in section.items():
            for index, repository in enumerate(server.models):
                if (text := missing(repository, mesh.folder)) is not None:
                    yield BrokenRule((name, "models", index), text)


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
        for index, repository in enumerate(section):
            if (text := missing(repository, mesh.folder)) is not None:
                yield BrokenRule((index,), text)


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
