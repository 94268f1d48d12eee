"""The benchmark of large tensors: `python -m infermesh_perf.bench.tensors`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from infermesh_perf import machine
from infermesh_perf.bench import h2load, result_file
from infermesh_perf.bench.compare import Spread, interleave, ratios
from infermesh_perf.bench.entry import Out, Root, run
from infermesh_perf.bench.ratio_table import ratio_table
from infermesh_perf.bench.ways import ByH2load, ByTritonclient, Way, grpc_body, shared_body, shared_with
from infermesh_perf.models import identity
from infermesh_perf.peers import Infermesh, Peer, TritonIdentity
from infermesh_perf.processes import serving
from infermesh_perf.rpc import check_answer

ELEMENTS = 1 << 20
TENSOR_BYTES = 4 * ELEMENTS
SUBJECT = Infermesh.name

#: What is compared: a name, whose rate, and over whose.
RATIOS = (
    ("gRPC, infermesh / triton", f"{SUBJECT}, gRPC", f"{TritonIdentity.name}, gRPC"),
    ("shared memory / gRPC, h2load", f"{SUBJECT}, shared memory", f"{SUBJECT}, gRPC"),
    (
        "shared memory / gRPC, tritonclient",
        f"{SUBJECT}, shared memory, tritonclient",
        f"{SUBJECT}, gRPC, tritonclient",
    ),
)


def tensors(
    rounds: Annotated[int, typer.Option(min=1, help="How often every way gets its turn.")] = 5,
    duration: Annotated[float, typer.Option(min=1, help="Seconds of each measured run, whole ones.")] = 4,
    streams: Annotated[int, typer.Option(min=1, help="Requests that h2load has in flight.")] = 4,
    triton: Annotated[bool, typer.Option(help="Whether to measure Triton beside it.")] = True,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure tensors of 4 MB: gRPC beside Triton, and shared memory beside gRPC.

    The model answers its input, so what is measured is the way there and back. Every way takes its turn in
    every round; ratios are taken round by round and shown with their spread. h2load repeats one prebuilt
    request, which is what the server can do; tritonclient fills in an input, infers and reads the output each
    time, which is what a Python program gets. Triton hands the tensor through a Python model, since its ONNX
    backend is in no wheel; infermesh runs ONNX Runtime.

    **Exit codes**: 0 done, 1 a server or a client failed, 2 usage, or something is missing on this machine.
    """
    root = root.resolve()
    options = {"rounds": rounds, "duration_seconds": duration, "streams": streams}
    peers: list[Peer] = [TritonIdentity(root), Infermesh(root)] if triton else [Infermesh(root)]
    for peer in peers:
        peer.install()
    result = result_file.begin(options, result_file.versions(h2load.find(), peers))
    result |= {"tensor_bytes": TENSOR_BYTES, "load_average_before": machine.load_average()}
    with _ways(root, peers, streams) as ways:
        rates: dict[str, list[float]] = {way.name: [] for way in ways}
        by_name = {way.name: way for way in ways}
        for turn, name in interleave(rounds, list(by_name)):
            typer.echo(f"round {turn + 1}: {name}", err=True)
            rates[name].append(by_name[name].rate(duration))
    result["requests_per_second"] = rates
    result["ratios"] = {
        title: asdict(Spread.of(ratios(rates[subject], rates[base])))
        for title, subject, base in RATIOS
        if base in rates
    }
    path = result_file.save(result, "tensors", root, out)
    for table in _tables(result):
        Console().print(table)
    typer.echo(f"written to {path}")


@contextmanager
def _ways(root: Path, peers: list[Peer], streams: int) -> Iterator[list[Way]]:
    """Every way to every server, all of them up; each server's answer was held against ONNX Runtime."""
    model, tool = identity(ELEMENTS), h2load.find()
    onnx_file = model.save(root / ".peers" / "models")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {}
        for peer in peers:
            ports[peer.name] = stack.enter_context(serving(peer.command(model, onnx_file))).port
            check_answer(ports[peer.name], model, onnx_file, 1)
        body = _write(folder / "grpc", grpc_body(model, 1))
        ways: list[Way] = [ByH2load(f"{name}, gRPC", tool, ports[name], body, streams) for name in ports]
        port = ports[SUBJECT]
        values = model.sample(1)
        shared = stack.enter_context(shared_with(port, f"infermesh-tensors-{os.getpid()}", values))
        small = _write(folder / "shared", shared_body(model, 1))
        ways.append(ByH2load(f"{SUBJECT}, shared memory", tool, port, small, streams))
        ways.append(ByTritonclient(f"{SUBJECT}, gRPC, tritonclient", port, model, None, 1))
        ways.append(ByTritonclient(f"{SUBJECT}, shared memory, tritonclient", port, model, shared, 1))
        yield ways


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _tables(result: dict[str, Any]) -> Iterator[Table]:
    speed = Table(title="4 MB in and 4 MB out, median of the rounds")
    speed.add_column("way")
    speed.add_column("requests/s", justify="right")
    speed.add_column("MB/s each way", justify="right")
    for name, rates in result["requests_per_second"].items():
        rate = Spread.of(rates).median
        speed.add_row(name, f"{rate:,.0f}", f"{rate * TENSOR_BYTES / 1e6:,.0f}")
    yield speed
    yield ratio_table(result["ratios"])


def main() -> NoReturn:
    """Runs the command and exits: 0 done, 1 failed, 2 usage or setup."""
    run(tensors, "infermesh_perf.bench.tensors")


if __name__ == "__main__":
    main()
