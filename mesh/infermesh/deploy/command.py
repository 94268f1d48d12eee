"""`infermesh render TARGET`: one function for each target."""

import os.path
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from infermesh.deploy.output import File, write

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="Write a mesh for Kubernetes, Compose or Nomad.",
)

MeshFile = Annotated[Path, typer.Argument(metavar="[MESH.YAML]", help="The mesh.", show_default=True)]
Environment = Annotated[
    str | None, typer.Option("--environment", "-e", metavar="NAME", help="An environment of the file.")
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write to.")]

DEFAULT = Path("mesh.yaml")


@app.callback()
def render() -> None:
    """Write a mesh for whoever runs it elsewhere."""


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


@app.command()
def observability(
    file: MeshFile = DEFAULT,
    environment: Environment = None,
    output: Output = Path("observability"),
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            metavar="NAME",
            help="The namespace of Kubernetes that the mesh runs in. Without it, instances are found by the "
            "names of their workloads, as in Compose.",
        ),
    ] = None,
    runbook: Annotated[
        str, typer.Option(metavar="URL", help="Where docs/operations.md is found, for links in alerts.")
    ] = "docs/operations.md",
    traces: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Where the collector sends traces, by OTLP over HTTP; a variable of its own."
        ),
    ] = "${env:TRACES_ENDPOINT}",
) -> None:
    """For operators: rules and dashboards, a collector of traces, pipelines for logs."""
    from infermesh.deploy.observability.files import files
    from infermesh.description.read import read

    description = read(file, environment)
    save(output, files(description, namespace=namespace, runbook=runbook, traces=traces))


@app.command()
def kubernetes(
    file: MeshFile = DEFAULT,
    *,
    mesh: Annotated[
        str,
        typer.Option("--mesh", metavar="NAME", help="The mesh around: none, istio, linkerd, consul."),
    ] = "none",
    output: Output,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", metavar="NAME", help="Where it all runs. Without it, the mesh's name."
        ),
    ] = None,
    monitoring: Annotated[
        str, typer.Option("--monitoring", metavar="NAME", help="The namespace that Prometheus runs in.")
    ] = "monitoring",
    environment: Environment = None,
) -> None:
    """Write manifests that `kubectl apply -k DIR` takes."""
    from infermesh.deploy.kubernetes.command import run

    run(file, mesh, output, namespace, monitoring, environment)


@app.command()
def kserve(
    file: MeshFile = DEFAULT,
    *,
    output: Output,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", metavar="NAME", help="Where it all runs. Without it, the mesh's name."
        ),
    ] = None,
    environment: Environment = None,
) -> None:
    """Write the model servers as runtimes and services of KServe."""
    from infermesh.deploy.kubernetes.kserve_command import run

    run(file, output, namespace, environment)
