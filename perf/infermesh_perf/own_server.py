"""The server of the environment that a benchmark runs in."""

from __future__ import annotations

import sys
from pathlib import Path

from infermesh_perf.processes import Command, free_ports

# By its module: a script has the path of the interpreter that it was installed with, which may have moved.
PROGRAM = (sys.executable, "-m", "infermesh")


def command(repository: Path, model: str, log: Path, *options: str) -> Command:
    """Serves a repository over gRPC on loopback and nothing else; it is up when `model` is ready."""
    (port,) = free_ports(1)
    listen = ("--grpc-address", "127.0.0.1", "--grpc-port", str(port), "--no-http", "--no-metrics")
    return Command((*PROGRAM, "serve", str(repository), *listen, *options), model, port, log)
