"""The server of the environment that a benchmark runs in."""

from __future__ import annotations

import sys
from pathlib import Path

from infermesh_perf.processes import Command, free_ports

# By its module: a script has the path of the interpreter that it was installed with, which may have moved.
PROGRAM = (sys.executable, "-m", "infermesh")


def command(
    repository: Path, model: str, log: Path, *options: str, metrics_port: int | None = None
) -> Command:
    """Serves a repository over gRPC on loopback, and metrics if it has a port for them; nothing else.

    It is up when `model` is ready.
    """
    (port,) = free_ports(1)
    listen = ("--grpc-address", "127.0.0.1", "--grpc-port", str(port), "--no-http")
    metrics = (
        ("--no-metrics",)
        if metrics_port is None
        else ("--metrics-address", "127.0.0.1", "--metrics-port", str(metrics_port))
    )
    return Command((*PROGRAM, "serve", str(repository), *listen, *metrics, *options), model, port, log)
