"""The server's throughput beside that of ONNX Runtime alone in a loop on the same GPU, in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infermesh.errors import InfermeshError

from infermesh_perf.bench.compare import Spread, ratios
from infermesh_perf.bench.gpu.alone import Alone, Way, alone
from infermesh_perf.bench.gpu.cases import ALONE_ROWS, CASES, Case
from infermesh_perf.bench.gpu.load import caller
from infermesh_perf.bench.gpu.server import GpuServer, gpu_server

#: Counters of the server; durations are microseconds, counted for each request of a batch.
ROWS, BATCHES = "nv_inference_count", "nv_inference_exec_count"
REQUESTS = "nv_inference_request_success"
PHASES = {phase: f"nv_inference_compute_{phase}_duration_us" for phase in ("input", "infer", "output")}


def measure(rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """The figures of each case, as they come. ONNX Runtime alone runs in its best way of being called."""
    for name in dict.fromkeys(case.model.name for case in CASES):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            cases = [case for case in CASES if case.model.name == name]
            file = cases[0].model.save(Path(folder))
            runtime = stack.enter_context(alone(file, name))
            best, tried = runtime.best(ALONE_ROWS[name])
            for case in cases:
                here = Path(folder) / case.name
                here.mkdir()
                figures: dict[str, Any] = {"alone": asdict(best), "alone_tried": tried}
                try:
                    figures |= _case(case, here, file, runtime, best, rounds, seconds)
                except InfermeshError as error:
                    figures["failed"] = str(error)
                yield _description(case) | figures


def _case(
    case: Case, folder: Path, file: Path, runtime: Alone, way: Way, rounds: int, seconds: float
) -> dict[str, Any]:
    served, by_itself = [], []
    with (
        gpu_server(folder, {case.name: (file, case.config)}) as server,
        caller(folder, server.port, case) as load,
    ):
        # Sizes that were not run in are met here.
        load.run(seconds)
        before = _counters(server)
        for _ in range(rounds):
            served.append(load.run(seconds))
            by_itself.append(runtime.pace(way, seconds))
        spent = {name: value - before[name] for name, value in _counters(server).items()}
    requests = spent.pop(REQUESTS)
    return {
        "rows_per_batch": spent.pop(ROWS) / spent.pop(BATCHES),
        "batch_milliseconds": {name: total / 1000 / requests for name, total in spent.items()},
        "ready_seconds": server.process.ready_seconds,
        "samples_per_second": served,
        "alone_samples_per_second": by_itself,
        "share_of_alone": asdict(Spread.of(ratios(served, by_itself))),
    }


def _counters(server: GpuServer) -> dict[str, float]:
    metrics = server.metrics()
    names = {name: name for name in (ROWS, BATCHES, REQUESTS)} | PHASES
    return {name: metrics[family] for name, family in names.items()}


def _description(case: Case) -> dict[str, Any]:
    return {
        "case": case.name,
        "model": case.model.name,
        "config": case.config,
        "load": asdict(case.load) | {"connections": case.connections, "carried": case.carried},
    }
