"""ONNX Runtime alone in a loop: the most that any server around it could reach on this machine.

It runs as a process of its own, `python -m infermesh_perf.bench.alone`, so that neither memory nor threads
of the benchmark stand beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import onnxruntime

from infermesh_perf.bench.calling import calls_per_second
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
            calls = calls_per_second(partial(session.run, None, values), callers, seconds)
            paces.append(Pace(rows, threads, callers, rows * calls))
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


def main(arguments: Sequence[str]) -> None:
    """Prints the paces as JSON; the arguments are the file, the model's name, seconds for each, and cores."""
    path, name, seconds, cores = arguments
    paces = measure(Path(path), MODELS[name], float(seconds), int(cores))
    json.dump([asdict(pace) for pace in paces], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
