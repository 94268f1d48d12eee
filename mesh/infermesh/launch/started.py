"""What `infermesh up` does with its options."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import typer
from rich.console import Console

from infermesh.description.read import Description, read, schema
from infermesh.description.workload import Workload
from infermesh.launch import lines
from infermesh.launch.up import Page, run
from infermesh.settings.json_schema import json_schema
from infermesh.settings.values import format_share


def begin(
    file: Path,
    environment: str | None,
    log_format: lines.Format,
    *,
    page_port: int | None,
    check: bool,
    schema: bool,
) -> None:
    """Run a mesh, or say what is asked for. Raises InfermeshError."""
    if schema:
        typer.echo(json.dumps(_schema(), indent=2))
        return
    description = read(file, environment)
    if check:
        for line in summary(description):
            typer.echo(line)
        return
    console = Console(stderr=log_format == "json")
    names = [len(name) for name in description.workloads]
    say = lines.json_lines() if log_format == "json" else lines.text_lines(console, max(names, default=0) + 8)
    page = None if page_port is None else Page(environment, page_port)
    if page is not None and find_spec("aiohttp") is None:
        console.print("No live picture: pip install 'infermesh[overview]' brings what it takes", style="dim")
        page = None
    run(description, console, say, page)


def summary(description: Description) -> Iterator[str]:
    """What a mesh comes to, in lines."""
    mesh = description.mesh
    identities = f"identities of {mesh.domain}" if mesh.tls == "mutual" else "plaintext"
    yield f"{description.file}: {mesh.name}, {identities}"
    for workload in description.workloads.values():
        yield f"  {workload.name}: {_summary(workload)}"


def _summary(workload: Workload) -> str:
    count = workload.placement.replicas
    said = [workload.kind if count == 1 else f"{count} x {workload.kind}"]
    if workload.models:
        said.append(f"models {', '.join(workload.models)}")
    said += [f"{format_share(share)} of its requests to {name}" for name, share in workload.split.items()]
    if workload.calls:
        said.append(f"calls {', '.join(workload.calls)}")
    return ", ".join(said)


def _schema() -> object:
    return json_schema(schema())
