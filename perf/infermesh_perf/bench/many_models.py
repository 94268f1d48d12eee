"""How a server carries many models: `python -m infermesh_perf.bench.many_models`."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from infermesh_perf import machine
from infermesh_perf.bench import result_file
from infermesh_perf.bench.compare import Spread
from infermesh_perf.bench.control import Control, command
from infermesh_perf.bench.entry import Out, Root, run
from infermesh_perf.models import MODELS
from infermesh_perf.processes import Running, serving

SMALL = MODELS["perceptron"]


def main(
    models: Annotated[int, typer.Option(min=2, help="How many the repository holds.")] = 1000,
    calls: Annotated[
        int, typer.Option(min=1, help="How often the index is asked and a model is loaded.")
    ] = 50,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure the repository index and an explicit load beside many loaded models, and what each costs.

    Memory and threads per model are the difference to the same server with one model. The result is written
    to `perf/results/many-models-DATE-KIND.json`.
    """
    result = result_file.begin({"models": models, "calls": calls}, machine.own_versions())
    with tempfile.TemporaryDirectory(prefix="infermesh-perf-") as folder:
        file = SMALL.save(Path(folder))
        repository = Path(folder) / "models"
        for number in range(models):
            directory = repository / f"model_{number:04}" / "1"
            directory.mkdir(parents=True)
            os.link(file, directory / "model.onnx")
        log = Path(folder) / "server.log"
        with serving(command(repository, "model_0000", log)) as server:
            one = _cost(server)
        with serving(command(repository, "model_0000", log, everything=True)) as server:
            many = _cost(server)
            with Control(server.port) as control:
                listed = control.index()
                index = _times(calls, lambda _: control.index())
                load = _times(calls, lambda number: control.load(f"model_{number % models:04}"))
    per_model = {
        key: (many[key] - one[key]) / (models - 1) for key in ("resident", "proportional", "threads")
    }
    found = {
        "listed": listed,
        "ready_seconds": server.ready_seconds,
        "index_ms": asdict(Spread.of(index)),
        "load_ms": asdict(Spread.of(load)),
        "load_ms_p99": float(np.percentile(load, 99)),
        "one": one,
        "many": many,
        "per_model": per_model,
    }
    path = result_file.save(result | found, "many-models", root, out)
    console = Console()
    for what, times in (("index", index), ("load", load)):
        console.print(f"{what}: median {np.median(times):.1f} ms, longest {max(times):.1f} ms")
    console.print(
        f"ready after {server.ready_seconds:.1f} s; per model {per_model['proportional'] / 1024:.0f} KiB, "
        f"{per_model['threads']:.2f} threads"
    )
    console.print(f"written to {path}", highlight=False, soft_wrap=True)


def _cost(server: Running) -> dict[str, int]:
    return {**asdict(server.memory()), "threads": len(os.listdir(f"/proc/{server.pid}/task"))}


def _times(calls: int, call: Callable[[int], object]) -> list[float]:
    """How long each call took, in milliseconds."""
    times = []
    for number in range(calls):
        started = time.perf_counter()
        call(number)
        times.append((time.perf_counter() - started) * 1000)
    return times


if __name__ == "__main__":
    run(main, "infermesh_perf.bench.many_models")
