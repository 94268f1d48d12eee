"""`infermesh render TARGET`: one function for each target."""

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
