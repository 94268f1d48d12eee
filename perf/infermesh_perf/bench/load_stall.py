"""What loading a model does to the latency of another: `python -m infermesh_perf.bench.load_stall`.

One caller asks a small model again and again. Quiet windows take turns with windows in which a big model is
being loaded, so that whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from infermesh.proto.inference import grpc_service_pb2 as pb
from numpy.typing import NDArray
from rich.console import Console

from infermesh_perf import machine
from infermesh_perf.bench import result_file
from infermesh_perf.bench.compare import Spread
from infermesh_perf.bench.control import Control, command
from infermesh_perf.bench.entry import Out, Root, run
from infermesh_perf.bodies import infer_request
from infermesh_perf.models import MODELS, Model, build_perceptron
from infermesh_perf.processes import serving
from infermesh_perf.rpc import Client

SMALL = MODELS["perceptron"]
BIG = "big"


@dataclass(frozen=True)
class Window:
    """Latencies in one window, in milliseconds."""

    calls: int
    seconds: float
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, latencies: NDArray[np.float64], seconds: float) -> Window:
        """Of latencies in seconds."""
        p50, p99 = np.percentile(latencies, [50, 99]) * 1000
        return cls(len(latencies), seconds, float(p50), float(p99), float(latencies.max() * 1000))


def big_model(megabytes: int, directory: Path) -> Path:
    """A perceptron with at least that many megabytes of weights, in hidden layers of 4 MB each."""
    width = 1024
    layers = max(megabytes * 1_000_000 // (4 * width * width), 1)
    model = Model(
        name=BIG,
        build=lambda: build_perceptron(BIG, (width,) * (layers + 1)),
        input_name="x",
        input_shape=(width,),
        output_name="y",
        output_shape=(width,),
        max_batch_size=64,
    )
    return model.save(directory)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often quiet and loading take turns.")] = 10,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds of each window at least.")] = 2.0,
    megabytes: Annotated[
        int, typer.Option(min=1, max=1900, help="Weights of the model that is loaded.")
    ] = 400,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure the p99 latency of a small model while a big one is loaded, as a ratio to its quiet p99.

    The ratio is taken round by round and over all rounds. The result is written to
    `perf/results/load-stall-DATE-KIND.json`.
    """
    options = {"rounds": rounds, "duration_seconds": duration, "megabytes": megabytes}
    result = result_file.begin(options, machine.own_versions())
    with tempfile.TemporaryDirectory(prefix="infermesh-perf-") as folder:
        repository = Path(folder) / "models"
        for name, path in (("small", SMALL.save(Path(folder))), (BIG, big_model(megabytes, Path(folder)))):
            (repository / name / "1").mkdir(parents=True)
            path.rename(repository / name / "1" / "model.onnx")
        with serving(command(repository, "small", Path(folder) / "server.log")) as server:
            quiet, loading, loads = _measure(server.port, rounds, duration)
    windows = {
        name: [asdict(Window.of(latencies, seconds)) for latencies, seconds in found]
        for name, found in (("quiet", quiet), ("loading", loading))
    }
    ratio = Spread.of(
        [busy["p99"] / calm["p99"] for busy, calm in zip(windows["loading"], windows["quiet"], strict=True)]
    )
    overall = {
        name: asdict(Window.of(np.concatenate([part[0] for part in found]), sum(part[1] for part in found)))
        for name, found in (("quiet", quiet), ("loading", loading))
    }
    found = {
        "windows": windows,
        "overall": overall,
        "load_seconds": loads,
        "p99_ratio": {**asdict(ratio), "overall": overall["loading"]["p99"] / overall["quiet"]["p99"]},
    }
    path = result_file.save(result | found, "load-stall", root, out)
    console = Console()
    for name, window in overall.items():
        console.print(
            f"{name:8} p50 {window['p50']:.3f} ms, p99 {window['p99']:.3f} ms, "
            f"longest {window['longest']:.1f} ms, {window['calls']} calls"
        )
    console.print(
        f"p99 while loading / quiet: {found['p99_ratio']['overall']:.2f} over all, "  # type: ignore[index]
        f"{ratio} by round; "
        f"a load takes {np.median(loads):.2f} s"
    )
    console.print(f"written to {path}", highlight=False, soft_wrap=True)


Part = tuple[NDArray[np.float64], float]


def _measure(port: int, rounds: int, duration: float) -> tuple[list[Part], list[Part], list[float]]:
    message = _request()
    quiet: list[Part] = []
    loading: list[Part] = []
    loads: list[float] = []
    with Client(port) as client, Control(port) as control:
        for _ in range(200):
            client.infer(message)
        for _ in range(rounds):
            over = threading.Event()
            quiet.append(_window(client, message, duration, over))
            thread = threading.Thread(target=_load, args=(control, duration, loads, over))
            thread.start()
            loading.append(_window(client, message, float("inf"), over))
            thread.join()
            control.unload(BIG)
    return quiet, loading, loads


def _request() -> bytes:
    message = pb.ModelInferRequest.FromString(infer_request(SMALL, SMALL.sample(1)))
    message.model_name = "small"
    return message.SerializeToString()


def _load(control: Control, duration: float, loads: list[float], over: threading.Event) -> None:
    """Load again and again until the window is long enough: a load of what is loaded loads it anew."""
    try:
        deadline = time.monotonic() + duration
        while time.monotonic() < deadline:
            started = time.monotonic()
            control.load(BIG)
            loads.append(time.monotonic() - started)
    finally:
        over.set()


def _window(client: Client, message: bytes, duration: float, over: threading.Event) -> Part:
    latencies: list[float] = []
    started = time.perf_counter()
    deadline = started + duration
    before = started
    while before < deadline and not over.is_set():
        client.infer(message)
        after = time.perf_counter()
        latencies.append(after - before)
        before = after
    return np.array(latencies), before - started


if __name__ == "__main__":
    run(main, "infermesh_perf.bench.load_stall")
