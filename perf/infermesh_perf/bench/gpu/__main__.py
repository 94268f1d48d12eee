"""`python -m infermesh_perf.bench.gpu`: checks and measures the server on an NVIDIA GPU, in one command."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from infermesh_perf.bench import h2load, result_file
from infermesh_perf.bench.compare import Spread
from infermesh_perf.bench.entry import EXIT_FAILED, Out, Root, run
from infermesh_perf.bench.gpu import alone, answers, bench, device, faults, machine
from infermesh_perf.bench.gpu.checks import Check, ask

EXIT_NO_GPU = 3


def gpu(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each.")] = 4,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of each measured run, whole ones.")] = 5.0,
    checks: Annotated[bool, typer.Option(help="Whether to check.")] = True,
    measured: Annotated[bool, typer.Option("--bench/--no-bench", help="Whether to measure.")] = True,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Check the server on this machine's GPU, and measure it beside ONNX Runtime alone.

    Checks first: each way of using a GPU, a model whose answers are held against ONNX Runtime on the
    processor; memory of the device that clients share; what a device that fails does to the server. Then the
    throughput under h2load beside ONNX Runtime alone in a loop on the same GPU, in turns, with the ratio
    taken round by round. ONNX Runtime alone is called in the best of several ways.

    **Exit codes**: 0 done, 1 a check or a run failed, 2 usage, or something is missing, 3 this machine has no
    GPU that could be used.
    """
    if reason := machine.absent():
        print(f"nothing was checked: {reason}", file=sys.stderr)
        raise typer.Exit(EXIT_NO_GPU)
    console = Console(highlight=False, soft_wrap=True)
    versions: dict[str, Any] = alone.versions()
    if measured:
        versions["client"] = {"h2load": h2load.version(h2load.find())}
    found = result_file.begin({"rounds": rounds, "duration_seconds": seconds}, versions)
    found["gpu"] = machine.describe()
    made = list(_checked(console)) if checks else []
    found["checks"] = [asdict(check) for check in made]
    found["bench"] = []
    if measured:
        for figures in bench.measure(rounds, seconds):
            found["bench"].append(figures)
            _show(console, figures)
    console.print(f"written to {result_file.save(found, 'gpu', root, out)}")
    if not all(check.passed for check in made) or any("failed" in figures for figures in found["bench"]):
        raise typer.Exit(EXIT_FAILED)


def _checked(console: Console) -> list[Check]:
    made = []
    with tempfile.TemporaryDirectory() as folder:
        files, servers = Path(folder) / "files", Path(folder) / "servers"
        files.mkdir()
        servers.mkdir()
        for check in ask(
            answers.questions(files), faults.questions(files) + device.questions(files), servers
        ):
            console.print(
                f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.said}", markup=False
            )
            made.append(check)
    return made


def _show(console: Console, figures: dict[str, Any]) -> None:
    if "failed" in figures:
        console.print(f"FAILED {figures['case']}: {figures['failed']}", markup=False)
        return
    share = Spread(**figures["share_of_alone"])
    console.print(
        f"{figures['case']:<28}{Spread.of(figures['samples_per_second']).median:>12,.0f} samples/s, "
        f"{share.median:.2f} ({share.low:.2f} - {share.high:.2f}) of ONNX Runtime alone "
        f"({figures['alone']['callers']} x {figures['alone']['rows']} rows)"
    )


if __name__ == "__main__":
    run(gpu, "infermesh_perf.bench.gpu")
