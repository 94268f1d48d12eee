"""ONNX Runtime alone in a loop on the GPU, in its own process: the most that a server could reach."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from infermesh_perf.bench.calling import calls_per_second
from infermesh_perf.errors import RunError
from infermesh_perf.models import MODELS

#: Threads that call at once: with several, one's copies overlap another's computation.
CALLERS = (1, 2, 4, 8)
#: Seconds for each way while the best one is looked for.
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Way:
    """How it is called: rows in each call, threads that call at once."""

    rows: int
    callers: int


class Alone:
    """A process that holds one session and is asked for its pace; see `alone`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def pace(self, way: Way, seconds: float) -> float:
        """Samples a second over `seconds`, copies in and out included. Raises RunError when it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            print(json.dumps([way.rows, way.callers, seconds]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RunError("ONNX Runtime alone failed; what it said stands above")
        return float(line)

    def best(self, rows: Sequence[int]) -> tuple[Way, dict[str, float]]:
        """The fastest way over these sizes, and the pace of every one that was tried."""
        ways = [Way(size, callers) for size in rows for callers in CALLERS]
        paces = {way: self.pace(way, LOOK_SECONDS) for way in ways}
        tried = {f"{way.callers} x {way.rows} rows": pace for way, pace in paces.items()}
        return max(paces, key=paces.__getitem__), tried


@contextmanager
def alone(file: Path, model: str) -> Iterator[Alone]:
    """ONNX Runtime with this file, for inputs of the model of this name."""
    command = [sys.executable, "-m", __name__, str(file), model]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        # On the way out its input is closed, upon which it ends.
        yield Alone(process)


def versions() -> dict[str, str]:
    """What runs and what checks."""
    found = {}
    for name in ("onnxruntime-gpu", "onnxruntime", "infermesh-native", "numpy", "onnx", "grpcio", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main(arguments: Sequence[str]) -> None:
    """Reads rows, callers and seconds as JSON, a line each, and prints the pace; file and model are given."""
    import onnxruntime
    from infermesh_servers.model.gpu_libraries import preload
    from infermesh_servers.model.onnxruntime_library import find_library

    file, name = arguments
    preload(find_library())
    session = onnxruntime.InferenceSession(file, providers=["CUDAExecutionProvider"])
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise SystemExit(f"ONNX Runtime fell back to {session.get_providers()}")
    model = MODELS[name]
    for line in sys.stdin:
        rows, callers, seconds = json.loads(line)
        values = {model.input_name: model.sample(rows)}
        print(rows * calls_per_second(partial(session.run, None, values), callers, seconds), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
