"""The ``infermesh perf peers`` commands; nothing heavy to import."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from infermesh_perf.bench.entry import Root, names_of, wide_console

if TYPE_CHECKING:
    from infermesh_perf.peers.base import Installable
    from infermesh_perf.peers.side_by_side import Place

EXAMPLES = """\b
Examples:
  infermesh perf peers list
  infermesh perf peers setup triton envoy
  infermesh perf peers start triton infermesh
  infermesh perf peers start infermesh --envoy
  infermesh perf peers start triton mlserver --onnx model.onnx --compute-bound
"""

app = typer.Typer(
    name="peers",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Other servers, proxies and clients to measure beside: set up, and started on this machine.",
    epilog=EXAMPLES,
)


class Model(StrEnum):
    """The models that are there without a file."""

    PERCEPTRON = "perceptron"
    MLP = "mlp"
    RESNET50 = "resnet50"


@app.command("list", epilog="Example: infermesh perf peers list")
def list_peers(root: Root = Path()) -> None:
    """What there is, and what is set up."""
    table = _table("NAME", "SET UP", "VERSION")
    for name, peer in _installable(root).items():
        missing = peer.missing()
        versions = {} if missing else peer.versions()
        shown = ", ".join(f"{what} {version}" for what, version in versions.items() if what != "python")
        table.add_row(name, "no" if missing else "yes", shown)
    wide_console().print(table)


@app.command(epilog="Example: infermesh perf peers setup triton mlserver envoy perf-analyzer")
def setup(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="As the list names them.")],
    root: Root = Path(),
) -> None:
    """Install peers from PyPI, each in an environment of its own, with the hashes of its lock file.

    Returns at once for those that are there. Triton and MLServer take some 200 MB each, Envoy 110 MB.
    """
    known = _installable(root)
    console = Console(stderr=True)
    for name in _chosen(names, known):
        with console.status(f"setting up {name}"):
            known[name].install()
        console.print(f"{name} is set up", highlight=False)


@app.command(epilog=EXAMPLES)
def start(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Servers, as the list names them.")],
    model: Annotated[
        Model, typer.Option("--model", "-m", help="The model that they serve.")
    ] = Model.PERCEPTRON,
    onnx: Annotated[
        Path | None,
        typer.Option(
            help="A file to serve in its place: one FP32 input and output, a dynamic batch dimension.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    compute_bound: Annotated[
        bool, typer.Option(help="The arithmetic of --onnx limits it: batch it, use every core.")
    ] = False,
    envoy: Annotated[bool, typer.Option(help="Also start an Envoy before each of them.")] = False,
    root: Root = Path(),
) -> None:
    """Start servers with the same model on this machine, and say where they are until Ctrl-C or SIGTERM.

    Each is checked against ONNX Runtime first. The addresses are what `infermesh perf run -u` and `infermesh
    perf compare` take, Envoy's metrics what `--metrics-url` takes. A server that ends by itself ends all.
    """
    from infermesh_perf.errors import SetupError
    from infermesh_perf.models import MODELS
    from infermesh_perf.peers import PEERS, Envoy
    from infermesh_perf.peers.onnx_file import read_model
    from infermesh_perf.peers.side_by_side import check_set_up, side_by_side, wait_for_the_first_end

    if compute_bound and onnx is None:
        raise SetupError("--compute-bound is about the model of --onnx, which is not given")
    root = root.resolve()
    peers = [PEERS[name](root) for name in _chosen(names, PEERS)]
    front = Envoy(root) if envoy else None
    check_set_up([*peers, *([front] if front else [])])
    served = MODELS[model] if onnx is None else read_model(onnx, compute_bound=compute_bound)
    path = served.save(root / ".peers" / "models") if onnx is None else onnx.resolve()
    console = Console(stderr=True)
    # Both ways of asking for the end are one exception, which ends the servers on its way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    up = False
    try:
        with side_by_side(
            peers, served, path, front, lambda text: console.print(text, highlight=False)
        ) as places:
            up = True
            _show(places, served.name)
            console.print("Ctrl-C ends them", highlight=False)
            try:
                wait_for_the_first_end(places)
            finally:
                # Whoever is impatient now would leave servers behind.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except KeyboardInterrupt:
        if not up:
            raise


def _installable(root: Path) -> dict[str, Installable]:
    from infermesh_perf.peers import COMPANIONS, PEERS

    return {name: kind(root.resolve()) for name, kind in (PEERS | COMPANIONS).items()}


def _chosen(names: list[str], known: Iterable[str]) -> list[str]:
    return names_of("NAME", ",".join(names), known)


def _show(places: Iterable[Place], model: str) -> None:
    table = _table("NAME", "ADDRESS", "MODEL", "METRICS")
    for place in places:
        table.add_row(place.name, place.address, model, place.metrics_url)
    wide_console().print(table)


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, pad_edge=False, header_style="")
    for column in table.columns:
        column.no_wrap = True
    return table
