"""ONNX Runtime alone in a loop: the most that any server around it could reach on this machine.

It runs as a process of its own, `python -m infermesh_perf.alone`, so that neither memory nor threads of the
benchmark stand beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from infermesh_perf.errors import RunError
from infermesh_perf.models import MODELS, Model


@dataclass(frozen=True)
class Pace:
    """How many samples a second one way of calling ONNX Runtime gives.

    `rows` go into each call; `callers` threads call at once, each call using `intra_op_threads`.
    """

    rows: int
    intra_op_threads: int
    callers: int
    samples_per_second: float


def ways(cores: int) -> list[tuple[int, int]]:
    """The (intra_op_threads, callers) worth trying: one core, all cores for a call, a call on each core."""
    return sorted({(1, 1), (cores, 1), (1, cores)})


def measure(path: Path, model: Model, seconds: float, cores: int) -> list[Pace]:
    """Every way with every batch size, each for `seconds` seconds after one call that is not counted."""
    paces = []
    for threads, callers in ways(cores):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for rows in model.alone_rows:
            values = {model.input_name: model.sample(rows)}
            calls, elapsed = _loop(session, values, callers, seconds)
            paces.append(Pace(rows, threads, callers, rows * calls / elapsed))
    return paces


def best(paces: Sequence[Pace]) -> Pace:
    """The fastest of them."""
    return max(paces, key=lambda pace: pace.samples_per_second)


def in_process(path: Path, model: Model, seconds: float, cores: int) -> list[Pace]:
    """`measure` in a fresh process. Raises RunError when that fails."""
    command = [sys.executable, "-m", __name__, str(path), model.name, str(seconds), str(cores)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RunError(f"ONNX Runtime alone failed on {model.name}:\n{done.stderr.strip()[-2000:]}")
    return [Pace(**entry) for entry in json.loads(done.stdout)]


def _loop(
    session: onnxruntime.InferenceSession,
    values: dict[str, NDArray[np.float32]],
    callers: int,
    seconds: float,
) -> tuple[int, float]:
    session.run(None, values)
    counts = [0] * callers
    start = threading.Barrier(callers + 1)
    ends = [0.0] * callers

    def call(caller: int) -> None:
        start.wait()
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            session.run(None, values)
            counts[caller] += 1
        ends[caller] = time.perf_counter()

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    start.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(counts), max(ends) - started


def main(arguments: Sequence[str]) -> None:
    """Prints the paces as JSON; the arguments are the file, the model's name, seconds for each, and cores."""
    path, name, seconds, cores = arguments
    paces = measure(Path(path), MODELS[name], float(seconds), int(cores))
    json.dump([asdict(pace) for pace in paces], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
