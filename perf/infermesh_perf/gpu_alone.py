"""ONNX Runtime alone in a loop on the GPU, in its own process: the most that a server could reach."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from infermesh_perf.errors import RunError
from infermesh_perf.gpu_cases import CASES, Case

#: Threads that call at once: with several, one's copies overlap another's computation.
CALLERS = (1, 2, 4)


@dataclass(frozen=True)
class Pace:
    """Samples a second with so many rows in each call, of so many threads; copies in and out included."""

    rows: int
    callers: int
    samples_per_second: float


def versions() -> dict[str, str]:
    """What runs and what checks."""
    found = {}
    for name in ("onnxruntime-gpu", "onnxruntime", "infermesh-native", "numpy", "onnx", "grpcio", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def in_process(path: Path, case: Case, seconds: float) -> list[Pace]:
    """Every way, each for `seconds` seconds. Raises RunError when that fails."""
    command = [sys.executable, "-m", __name__, str(path), case.name, str(seconds)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RunError(f"ONNX Runtime alone failed on {case.name}:\n{done.stderr.strip()[-2000:]}")
    return [Pace(**entry) for entry in json.loads(done.stdout)]


def measure(path: Path, case: Case, seconds: float) -> list[Pace]:
    """As `in_process`, in this one."""
    import onnxruntime
    from infermesh_servers.model.gpu_libraries import preload
    from infermesh_servers.model.onnxruntime_library import find_library

    preload(find_library())
    session = onnxruntime.InferenceSession(str(path), providers=["CUDAExecutionProvider"])
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise RunError(f"ONNX Runtime fell back to {session.get_providers()}")
    paces = []
    for rows in case.alone_rows:
        values = {case.model.input_name: case.model.sample(rows)}
        for callers in CALLERS:
            calls = [0] * callers
            deadline = 0.0

            def call(caller: int) -> None:
                while time.perf_counter() < deadline:  # noqa: B023 - joined before it changes
                    session.run(None, values)  # noqa: B023
                    calls[caller] += 1  # noqa: B023

            session.run(None, values)
            started = time.perf_counter()
            deadline = started + seconds
            threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            paces.append(Pace(rows, callers, rows * sum(calls) / (time.perf_counter() - started)))
    return paces


def main(arguments: Sequence[str]) -> None:
    """Prints the paces as JSON; the arguments are the file, the case's name and seconds for each."""
    path, name, seconds = arguments
    case = next(case for case in CASES if case.name == name)
    json.dump([asdict(pace) for pace in measure(Path(path), case, float(seconds))], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
