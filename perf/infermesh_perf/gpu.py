"""`python -m infermesh_perf.gpu`: checks and measures the server on an NVIDIA GPU, in one command.

Checks first, each a model of one configuration whose answers are held against ONNX Runtime on the CPU; then
the throughput beside ONNX Runtime alone in a loop on the same GPU, both in turns. All is written as JSON.
Exit codes: 0 done, 1 a check or a run failed, 3 this machine has no GPU that could be used.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from infermesh_perf import gpu_alone, gpu_checks, gpu_load, result_file
from infermesh_perf.compare import Spread, ratios
from infermesh_perf.entry import EXIT_FAILED, Out, run
from infermesh_perf.gpu_cases import CASES, Case
from infermesh_perf.gpu_machine import absent, describe
from infermesh_perf.gpu_server import gpu_server

EXIT_NO_GPU = 3


def check_and_measure(rounds: int, seconds: float, out: Path | None, *, bench: bool) -> int:
    """Do everything; returns the exit code."""
    if reason := absent():
        print(f"nothing was checked: {reason}", file=sys.stderr)
        return EXIT_NO_GPU
    options = {"rounds": rounds, "duration_seconds": seconds, "bench": bench}
    result = result_file.begin(options, gpu_alone.versions()) | {"gpu": describe()}
    checks = gpu_checks.run()
    result["checks"] = [asdict(check) for check in checks]
    for check in checks:
        print(f"{'ok    ' if check.passed else 'FAILED'} {check.name}{': ' * bool(check.said)}{check.said}")
    if bench:
        result["bench"] = [measure(case, rounds, seconds) for case in CASES]
    path = result_file.save(result, "gpu", Path(), out)
    print(f"written to {path}")
    return 0 if all(check.passed for check in checks) else EXIT_FAILED


def measure(case: Case, rounds: int, seconds: float) -> dict[str, Any]:
    """Take turns with ONNX Runtime alone on one model; samples per second of each round."""
    with tempfile.TemporaryDirectory() as folder:
        path = case.model.save(Path(folder) / "files")
        served: list[float] = []
        alone: list[list[gpu_alone.Pace]] = []
        with gpu_server(Path(folder), {case.name: (path, case.config)}) as port:
            gpu_load.run(port, case, seconds / 2)
            for _ in range(rounds):
                served.append(gpu_load.run(port, case, seconds))
                alone.append(gpu_alone.in_process(path, case, seconds / 2))
    best = [max(pace.samples_per_second for pace in paces) for paces in alone]
    share = Spread.of(ratios(served, best))
    print(f"{case.name} at {case.load}: {served[-1]:,.0f} samples/s, {share} of ONNX Runtime alone")
    return {
        "case": case.name,
        "load": asdict(case.load),
        "config": case.config,
        "samples_per_second": served,
        "onnxruntime_alone": [[asdict(pace) for pace in paces] for paces in alone],
        "share_of_onnxruntime_alone": asdict(share),
    }


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each.")] = 4,
    seconds: Annotated[float, typer.Option(min=0.5, help="Seconds of each measured run.")] = 5.0,
    out: Out = None,
    bench: Annotated[bool, typer.Option(help="Whether to measure after the checks.")] = True,
) -> None:
    """Check the server on this machine's GPU, and measure it beside ONNX Runtime alone."""
    raise typer.Exit(check_and_measure(rounds, seconds, out, bench=bench))


if __name__ == "__main__":
    run(main, "infermesh_perf.gpu")
