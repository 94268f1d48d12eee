"""A step of the load, recorded: `python -m infermesh_perf.bench.load_step`.

What is recorded is when requests came and how long the server took for batches of each size. Whatever decides
how many servers there are can be held against it in simulated time, in which machines cost nothing.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from infermesh.proto.inference import grpc_service_pb2 as pb
from rich.console import Console

from infermesh_perf import machine, own_server
from infermesh_perf.bench import result_file
from infermesh_perf.bench.entry import Out, Root, run
from infermesh_perf.errors import RunError
from infermesh_perf.models import Model, build_perceptron
from infermesh_perf.processes import serving
from infermesh_perf.results.document import Run
from infermesh_perf.rpc import Client

NAME = "wide"
WIDTH = 2048
LARGEST_BATCH = 8

#: Arrivals are counted by slots of so many seconds: shorter than any batch takes.
SLOT = 0.01

#: One thread, so that one core is all that the model has.
CONFIG = f"""
max_batch_size: {LARGEST_BATCH}
dynamic_batching {{ }}
instance_group [ {{ kind: KIND_CPU, count: 1 }} ]
parameters {{ key: "intra_op_thread_count" value {{ string_value: "1" }} }}
"""

BASE, STEP = "base", "step"


@dataclass(frozen=True)
class Phase:
    """What came at one rate, and what became of it. Times are milliseconds."""

    rate: float
    seconds: float
    answered: int
    failed: int
    #: From due to answered, of those that were answered.
    p50: float
    p99: float
    #: How long they waited in the server's queue on average.
    queue: float
    #: How late the generator itself was.
    lateness_p99: float
    #: How many came in each slot, with blanks between them: as a list, each would have a line.
    arrivals: str


def wide_model(layers: int) -> Model:
    """A perceptron with 16 MB of weights a layer, too many for a cache: rows share most of a batch."""
    return Model(
        name=NAME,
        build=lambda: build_perceptron(NAME, (WIDTH,) * (layers + 1)),
        input_name="x",
        input_shape=(WIDTH,),
        output_name="y",
        output_shape=(WIDTH,),
        max_batch_size=LARGEST_BATCH,
    )


def main(
    rate: Annotated[float, typer.Option(min=1, help="Requests per second at first.")] = 100.0,
    times: Annotated[float, typer.Option(min=1, help="How many times as many come afterwards.")] = 5.0,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds of each of the two.")] = 60.0,
    patience: Annotated[float, typer.Option(min=0.01, help="Seconds until a caller gives up.")] = 1.0,
    layers: Annotated[int, typer.Option(min=1, help="Layers of the model, 2048 wide.")] = 24,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Record one server under a load that becomes a multiple of itself.

    `infermesh perf run` sends requests of one row at random moments (Poisson), and nobody waits for anybody.
    The model has one thread. Choose the rates so that the server is at ease with the first, and cannot answer
    the second.

    The result is written to `perf/results/load-step-DATE-KIND.json`: arrivals by slots of 10 ms, and the mean
    time of a batch by its rows, as the server counts it.
    """
    options = {
        "rate": rate,
        "times": times,
        "seconds": seconds,
        "patience_seconds": patience,
        "layers": layers,
    }
    result = result_file.begin(options, machine.own_versions())
    result["load_average_before"] = machine.load_average()
    with tempfile.TemporaryDirectory(prefix="infermesh-perf-") as folder:
        repository = Path(folder) / "models"
        version = repository / NAME / "1"
        version.mkdir(parents=True)
        wide_model(layers).save(Path(folder)).rename(version / "model.onnx")
        version.parent.joinpath("config.pbtxt").write_text(CONFIG)
        with serving(own_server.command(repository, NAME, Path(folder) / "server.log")) as server:
            _load(server.port, rate, 1.0, patience, Path(folder))
            with Client(server.port) as client:
                told = [client.statistics(NAME)]
                phases = {}
                for name, asked in ((BASE, rate), (STEP, rate * times)):
                    level, requests = _load(server.port, asked, seconds, patience, Path(folder))
                    told.append(client.statistics(NAME))
                    phases[name] = _phase(level, requests, told[-2], told[-1], asked, seconds)
    result["slot_seconds"] = SLOT
    result["phases"] = {name: asdict(phase) for name, phase in phases.items()}
    result["batches"] = batches(told[0], told[-1])
    path = result_file.save(result, "load-step", root, out)
    _show(Console(), phases, result["batches"])
    typer.echo(f"written to {path}")


def _load(port: int, rate: float, seconds: float, patience: float, folder: Path) -> tuple[Run, list[Any]]:
    """What the load generator says, and each request with its moments."""
    document, requests = folder / "run.json", folder / "requests.json"
    command = [
        *(*own_server.PROGRAM, "perf", "run", "--quiet", "--url", f"127.0.0.1:{port}", "--model", NAME),
        *("--rps", str(rate), "--duration", f"{seconds}s", "--warm-up", "0", "--timeout", str(patience)),
        *("--output", str(document), "--profile-export-file", str(requests)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not requests.exists() or not document.exists():
        raise RunError(f"infermesh perf run ended with {done.returncode}:\n{done.stderr}")
    (experiment,) = json.loads(requests.read_text())["experiments"]
    found = Run.model_validate_json(document.read_text())
    for file in (document, requests):
        file.unlink()
    return found, experiment["requests"]


def _phase(
    found: Run,
    requests: Sequence[Any],
    before: pb.ModelStatistics,
    after: pb.ModelStatistics,
    rate: float,
    seconds: float,
) -> Phase:
    (level,) = found.levels
    old, new = before.inference_stats, after.inference_stats
    succeeded = new.success.count - old.success.count
    return Phase(
        rate=rate,
        seconds=seconds,
        answered=level.completed,
        failed=level.failed,
        p50=level.latency.percentiles_ns["50"] / 1e6,
        p99=level.latency.percentiles_ns["99"] / 1e6,
        queue=(new.queue.ns - old.queue.ns) / max(succeeded, 1) / 1e6,
        lateness_p99=level.lateness.percentiles_ns["99"] / 1e6,
        arrivals=" ".join(map(str, slots([it["due"] for it in requests], seconds))),
    )


def slots(due: Sequence[int], seconds: float) -> list[int]:
    """How many moments, nanoseconds, lie in each slot of the `seconds` from the first of them."""
    first = min(due, default=0)
    counts = Counter(int((moment - first) / 1e9 / SLOT) for moment in due)
    return [counts[slot] for slot in range(round(seconds / SLOT))]


def batches(before: pb.ModelStatistics, after: pb.ModelStatistics) -> list[dict[str, Any]]:
    """Between two answers of a server: by rows, how many batches there were, and their mean milliseconds."""
    counts: Counter[int] = Counter()
    spent: Counter[int] = Counter()
    for sign, told in ((-1, before), (1, after)):
        for it in told.batch_stats:
            counts[it.batch_size] += sign * it.compute_infer.count
            stages = (it.compute_input, it.compute_infer, it.compute_output)
            spent[it.batch_size] += sign * sum(stage.ns for stage in stages)
    return [
        {"rows": rows, "count": counts[rows], "mean_ms": spent[rows] / counts[rows] / 1e6}
        for rows in sorted(counts)
        if counts[rows]
    ]


def _show(console: Console, phases: dict[str, Phase], found: Sequence[dict[str, Any]]) -> None:
    for name, phase in phases.items():
        console.print(
            f"{name}: {phase.rate:g} requests/s, {phase.answered} answered, {phase.failed} not, "
            f"p50 {phase.p50:.1f} ms, p99 {phase.p99:.1f} ms, queue {phase.queue:.1f} ms",
            highlight=False,
        )
    for it in found:
        console.print(f"{it['count']} batches of {it['rows']}: {it['mean_ms']:.1f} ms", highlight=False)


if __name__ == "__main__":
    run(main, "infermesh_perf.bench.load_step")
