"""``infermesh sidecar``, and ``run``: reads the configuration and becomes the sidecar, or describes it."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import typer
from infermesh.errors import ConfigurationError
from infermesh.settings.document import Document, OptionsDocument, YamlDocument

from infermesh_sidecar.command.describe import describe
from infermesh_sidecar.command.launching import launch
from infermesh_sidecar.command.options import StartOptions
from infermesh_sidecar.command.written import written
from infermesh_sidecar.settings.read import read_settings


def run(options: StartOptions, *, check: bool, print_config: bool) -> None:
    """Raises ConfigurationError for what is wrong, before anything starts."""
    document, folder = _document(options)
    sidecar = read_settings(document)
    made = launch(sidecar, document, folder, os.environ)
    if print_config:
        typer.echo(written(sidecar), nl=False)
    elif check:
        typer.echo(describe(made), nl=False)
    else:
        made.become()


def run_with(options: StartOptions, command: Sequence[str]) -> None:
    """Likewise, with a command."""
    document, folder = _document(options)
    sidecar = read_settings(document)
    if shutil.which(command[0]) is None:
        raise ConfigurationError(f"found no program {command[0]!r} to run")
    launch(sidecar, document, folder, os.environ, command).become()


def _document(options: StartOptions) -> tuple[Document, Path]:
    """What is to be read, and what its paths are relative to."""
    options.check()
    if options.config is not None:
        return YamlDocument.read(options.config), options.config.parent
    return OptionsDocument("the command line", *options.data()), Path()
