"""One server over a repository of models with configurations of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infermesh_perf.processes import Command, free_ports, serving


@contextmanager
def gpu_server(folder: Path, models: Mapping[str, tuple[Path, str]]) -> Iterator[int]:
    """Serves models, by name a file and the text of its config.pbtxt, and yields the port.

    Raises RunError, with the end of its log, when one of them cannot be loaded.
    """
    repository = folder / "repository"
    for name, (file, config) in models.items():
        version = repository / name / "1"
        version.mkdir(parents=True)
        (version / "model.onnx").symlink_to(file)
        (repository / name / "config.pbtxt").write_text(config)
    (port,) = free_ports(1)
    address = ("--grpc-address", "127.0.0.1", "--grpc-port", str(port), "--no-http", "--no-metrics")
    command = Command(
        arguments=(sys.executable, "-m", "infermesh", "serve", str(repository), *address, "--exit-on-error"),
        model=next(iter(models)),
        grpc_port=port,
        log=folder / "server.log",
    )
    with serving(command) as running:
        yield running.port
