"""``infermesh sidecar schema``: the JSON Schema of sidecar.yaml."""

import json

import typer
from infermesh.settings.json_schema import json_schema

from infermesh_sidecar.settings.sidecar import Sidecar


def run() -> None:
    """Write it to standard output."""
    typer.echo(json.dumps(json_schema(Sidecar), indent=2))
