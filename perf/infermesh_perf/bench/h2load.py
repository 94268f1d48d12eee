"""Runs h2load, nghttp2's load generator, and reads what it prints.

It is the neutral client: it belongs to none of the peers, and one of its threads sends far more than any of
them answers. It knows HTTP/2 but not gRPC: a refused call, whose status is in a trailer, is a success to it.
`Sample.refused` finds those by the bytes that came back.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infermesh_perf.bodies import PREFIX
from infermesh_perf.errors import RunError, SetupError

METHOD = "/inference.GRPCInferenceService/ModelInfer"
PACKAGE = "nghttp2-client"
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Sample:
    """One run of h2load. Times are seconds, sizes bytes."""

    requests_per_second: float
    succeeded: int
    failed: int
    mean: float
    fastest: float
    slowest: float
    data_bytes: int

    def refused(self, answer_size: int) -> bool:
        """Whether some answers carried less than a message of `answer_size` bytes, as gRPC errors do."""
        return self.data_bytes < self.succeeded * (answer_size + PREFIX.size)


def find() -> str:
    """The path of h2load; installs Debian's package when this is root and it is missing.

    Raises SetupError when there is none and none could be installed.
    """
    found = shutil.which("h2load")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        subprocess.run(["apt-get", "install", "-y", PACKAGE], check=False, capture_output=True)
        found = shutil.which("h2load")
    if found is None:
        raise SetupError(f"h2load is missing: install it with `apt-get install {PACKAGE}` (Fedora: nghttp2)")
    return found


def version(tool: str) -> str:
    """What `h2load --version` prints."""
    return subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout.strip()


def run(
    tool: str, port: int, body: Path, streams: int, seconds: float, warm_up: float, connections: int = 1
) -> Sample:
    """Loads the server on loopback `port`, each connection with `streams` requests in flight.

    `seconds` are measured after `warm_up` seconds; h2load takes whole seconds only, so both are rounded up.
    Only without warm-up does `data_bytes` belong to the same requests as the other figures.
    Raises RunError when h2load fails, reports failed requests, or finishes none.
    """
    command = [
        tool,
        *("-c", str(connections), "-t", str(_threads(connections)), "-m", str(streams)),
        *("-D", str(math.ceil(seconds))),
        *(("--warm-up-time", str(math.ceil(warm_up))) if warm_up else ()),
        *("-d", str(body)),
        *("-H", "te: trailers", "-H", "content-type: application/grpc"),
        f"http://127.0.0.1:{port}{METHOD}",
    ]
    limit = math.ceil(seconds + warm_up) + 60
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise RunError(f"h2load did not end within {limit} s") from error
    if done.returncode != 0:
        raise RunError(f"h2load ended with {done.returncode}: {done.stderr.strip() or done.stdout[-500:]}")
    sample = parse(done.stdout)
    if sample.failed or not sample.succeeded:
        raise RunError(f"h2load: {sample.succeeded} requests succeeded, {sample.failed} failed")
    return sample


def _threads(connections: int) -> int:
    """A thread for every two cores at most: the server wants some, too."""
    return max(1, min(connections, len(os.sched_getaffinity(0)) // 2))


def parse(output: str) -> Sample:
    """Reads the summary that h2load prints at its end.

    Raises RunError when a line of the summary is missing, as when the connection was never made.
    """
    rate = _search(r"^finished in [^,]+, ([\d.]+) req/s", output)
    counts = _search(r"^requests:.* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    data = _search(r"^traffic:.* \((\d+)\) data", output)
    times = _search(r"^time for request: +(\S+) +(\S+) +(\S+)", output)
    succeeded, failed, errored, late = (int(count) for count in counts.groups())
    return Sample(
        requests_per_second=float(rate[1]),
        succeeded=succeeded,
        # Of these three counts the first should hold the others; which it does has changed between releases.
        failed=max(failed, errored + late),
        fastest=_seconds(times[1]),
        slowest=_seconds(times[2]),
        mean=_seconds(times[3]),
        data_bytes=int(data[1]),
    )


def _search(pattern: str, output: str) -> re.Match[str]:
    found = re.search(pattern, output, re.MULTILINE)
    if found is None:
        raise RunError(f"h2load printed no summary: {output.strip()[-500:] or 'nothing at all'}")
    return found


def _seconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)([a-z]+)", text)
    if found is None or found[2] not in UNITS:
        raise RunError(f"h2load printed {text!r} where a time belongs")
    return float(found[1]) * UNITS[found[2]]
