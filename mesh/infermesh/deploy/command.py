"""`infermesh render TARGET`: one function for each target."""

import os.path
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from infermesh.deploy.output import File, write

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Write a mesh for Kubernetes, Compose or Nomad."
)

MeshFile = Annotated[Path, typer.Argument(metavar="[MESH.YAML]", help="The mesh.", show_default=True)]
Environment = Annotated[
    str | None, typer.Option("--environment", "-e", metavar="NAME", help="An environment of the file.")
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write to.")]

DEFAULT = Path("mesh.yaml")


def save(folder: Path, files: Iterable[File]) -> None:
    """Write what a target made, and say so."""
    written = write(folder, files)
    typer.echo(f"{len(written)} files in {folder}")


@app.command()
def compose(
    file: MeshFile = DEFAULT,
    environment: Environment = None,
    output: Output = Path("compose"),
    publish: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where this machine takes requests for apps. At another address than loopback, callers "
            "need an identity unless an app's `tls` says otherwise.",
        ),
    ] = "127.0.0.1",
) -> None:
    """For one machine with Docker or Podman: compose.yaml."""
    from infermesh.deploy.compose.ports import address
    from infermesh.deploy.compose.project import files
    from infermesh.deploy.compose.services import Where
    from infermesh.description.read import read

    description = read(file, environment)
    home = os.path.relpath(description.folder, output)
    save(output, files(description, Where(home, address(publish))))


@app.command()
def nomad(file: MeshFile = DEFAULT, environment: Environment = None, output: Output = Path("nomad")) -> None:
    """For Nomad with Consul: a job, and what Consul is told."""
    from infermesh.deploy.nomad.job import files
    from infermesh.description.read import read

    save(output, files(read(file, environment)))
