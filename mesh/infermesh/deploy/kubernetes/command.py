"""`infermesh render kubernetes`."""

import re
from pathlib import Path

import typer

from infermesh.deploy.command import save
from infermesh.deploy.kubernetes.flavours.known import FLAVOURS
from infermesh.deploy.kubernetes.render import render
from infermesh.deploy.kubernetes.storage import folder_name
from infermesh.description.read import read
from infermesh.errors import ConfigurationError
from infermesh.settings.validate import close_to

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def run(
    file: Path, mesh: str, output: Path, namespace: str | None, monitoring: str, environment: str | None
) -> None:
    """Render a mesh into a folder, and say what operators bring themselves.

    Raises ConfigurationError for options or a file that cannot be used, and files that are in the way;
    InfermeshError if one cannot be written.
    """
    if mesh not in FLAVOURS:
        raise ConfigurationError(f"--mesh: found {mesh!r}, expected {close_to(mesh, FLAVOURS)}")
    for option, value in (("--namespace", namespace), ("--monitoring", monitoring)):
        if value is not None and not _NAMESPACE.fullmatch(value):
            raise ConfigurationError(
                f"{option}: found {value!r}, expected a name of small letters, digits and hyphens"
            )
    description = read(file, environment)
    where = namespace or description.mesh.name
    rendered = render(description, FLAVOURS[mesh], where, monitoring)
    save(output, rendered.files)
    for claim, folder in rendered.claims.items():
        typer.echo(f"to be copied: {folder} to {folder_name(folder)} in PersistentVolumeClaim {claim}")
