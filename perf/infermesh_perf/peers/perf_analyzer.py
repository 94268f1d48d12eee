"""NVIDIA's perf_analyzer as another client, so that figures can be held against those of a known tool."""

from __future__ import annotations

import csv
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infermesh_perf.environment import Environment
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.peers.base import Installable

#: Libraries that few systems have, by the name that the program asks for: how Triton's wheel calls them.
LIBRARIES = {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}
#: How the program ends when its windows differ too much; it writes no table then.
UNSTABLE = 2
MICRO = 1_000.0
PATIENCE_SECONDS = 180.0
#: Columns that add up to the mean latency, in microseconds; the server's are absent if it has no statistics.
STAGES = (
    "Client Send",
    "Network+Server Send/Recv",
    "Server Queue",
    "Server Compute Input",
    "Server Compute Infer",
    "Server Compute Output",
    "Client Recv",
)


@dataclass(frozen=True)
class Analysis:
    """What the program found, latencies in nanoseconds to its precision of a microsecond."""

    inferences_per_second: float
    mean_ns: float
    #: By percentile as text, such as "99".
    percentiles_ns: dict[str, float]


class PerfAnalyzer(Installable):
    """The program that the client wheel of Triton 2.51 holds."""

    name = "perf-analyzer"

    def __init__(self, root: Path) -> None:
        """`root` is the repository's root."""
        self._home = root / ".peers" / self.name
        self._environment = Environment(self._home, root / "requirements" / "peers-perf-analyzer.txt")

    def install(self) -> None:
        """Installs the wheels, and puts the libraries where the program finds them. Raises SetupError."""
        self._environment.install()
        if not self._program.exists():
            raise SetupError("the tritonclient wheel has no perf_analyzer for this machine")
        self._program.chmod(0o755)
        self._libraries.mkdir(exist_ok=True)
        for name, pattern in LIBRARIES.items():
            found = next((self._environment.packages / "nvidia_pytriton.libs").glob(pattern), None)
            if found is None:
                raise SetupError(f"the nvidia-pytriton wheel has no {name}, which perf_analyzer needs")
            (self._libraries / name).unlink(missing_ok=True)
            (self._libraries / name).symlink_to(found)

    def missing(self) -> str | None:
        """What `install` has not brought yet, in words, or None if everything is there."""
        complete = all((self._libraries / name).exists() for name in LIBRARIES)
        if self._environment.installed and self._program.exists() and complete:
            return None
        return f"perf_analyzer is not set up in {self._home}: infermesh perf peers setup {self.name} does it"

    def versions(self) -> dict[str, str]:
        """The wheel, whose version is the program's."""
        return self._environment.versions("tritonclient")

    def run(
        self,
        port: int,
        model: str,
        concurrency: int,
        *,
        window_requests: int = 20_000,
        trials: int = 10,
        stability_percent: float = 10.0,
    ) -> Analysis:
        """Keeps so many requests of one row with random inputs under way to the gRPC server at `port`.

        It measures windows of so many requests, up to `trials`, until three in a row differ by no more than
        `stability_percent` in throughput and latency, and tells of those. Not windows of a time:
        with requests sent asynchronously and a fast server the program was seen to answer them no more, and
        to take memory without end. Raises RunError when there are no windows alike, when the program does not
        end, and with what it said when it fails.
        """
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "table.csv"
            arguments = {
                "-m": model,
                "-u": f"127.0.0.1:{port}",
                "-i": "grpc",
                "-f": str(table),
                "--concurrency-range": str(concurrency),
                "--measurement-mode": "count_windows",
                "--measurement-request-count": str(window_requests),
                "--max-trials": str(trials),
                "--stability-percentage": f"{stability_percent:g}",
            }
            flags = [part for pair in arguments.items() for part in pair]
            # One thread for each request under way costs it speed: as people run it for more than a few.
            try:
                done = subprocess.run(
                    [str(self._program), *flags, "--async"],
                    check=False,
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE_SECONDS,
                    env={**os.environ, "LD_LIBRARY_PATH": str(self._libraries), "no_grpc_proxy": "127.0.0.1"},
                )
            except subprocess.TimeoutExpired as error:
                raise RunError(f"perf_analyzer did not end within {PATIENCE_SECONDS:.0f} s") from error
            text = table.read_text() if table.exists() else ""
        if done.returncode == UNSTABLE:
            hint = "measure longer windows or more of them, or allow a larger difference"
            raise RunError(f"perf_analyzer found no three windows alike among {trials}", hint)
        if done.returncode != 0:
            raise RunError(f"perf_analyzer ended with {done.returncode}:\n{_tail(done.stdout + done.stderr)}")
        return parse(text)

    @property
    def _program(self) -> Path:
        return self._environment.binaries / "perf_analyzer"

    @property
    def _libraries(self) -> Path:
        return self._home / "lib"


def parse(text: str) -> Analysis:
    """The table that the program writes with `-f`, of one concurrency. Raises RunError for anything else."""
    rows = list(csv.DictReader(text.splitlines()))
    try:
        (row,) = rows
        return Analysis(
            inferences_per_second=float(row["Inferences/Second"]),
            mean_ns=sum(float(row[stage]) for stage in STAGES if stage in row) * MICRO,
            percentiles_ns={
                column.removeprefix("p").removesuffix(" latency"): float(value) * MICRO
                for column, value in row.items()
                if column.startswith("p") and column.endswith(" latency")
            },
        )
    except (ValueError, KeyError, TypeError) as error:
        found = f"{len(rows)} rows" if len(rows) != 1 else f"{rows[0]}"
        raise RunError(f"perf_analyzer's table cannot be read: found {found}, expected one row") from error


def _tail(said: str, lines: int = 20) -> str:
    return "\n".join(said.strip().splitlines()[-lines:]) or "(it said nothing)"
