"""The options of `infermesh up`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

DEFAULT = Path("mesh.yaml")


def up(
    file: Annotated[Path, typer.Argument(metavar="[MESH.YAML]", help="The mesh.")] = DEFAULT,
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", metavar="NAME", help="An environment of the file.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say what would run, or what is wrong, and exit.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Write the JSON Schema of mesh.yaml, for editors, and exit.")
    ] = False,
    log_format: Annotated[
        Literal["text", "json"],
        typer.Option("--log-format", metavar="FORMAT", help="text, or json: what was written, line by line."),
    ] = "text",
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Whether there is a page that shows what goes on.")
    ] = True,
    page_port: Annotated[
        int,
        typer.Option(
            "--page-port", metavar="PORT", min=0, max=65_535, help="Where that is. 0: any that is free."
        ),
    ] = 0,
) -> None:
    """Run a mesh on this machine: servers, apps with their sidecars, identities for all.

    For example: `infermesh up mesh.yaml --environment staging`, and with `--check` nothing starts.
    """
    from infermesh.launch.started import begin

    port = page_port if page else None
    begin(file, environment, log_format, page_port=port, check=check, schema=schema)
