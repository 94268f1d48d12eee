"""One server over a repository of models with configurations of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infermesh_perf import own_server
from infermesh_perf.bench.scrape import first_samples
from infermesh_perf.processes import Running, free_ports, serving


@dataclass(frozen=True)
class GpuServer:
    """A server that is ready: where it listens, its process, its log."""

    port: int
    metrics_port: int
    process: Running
    log: Path

    def metrics(self) -> dict[str, float]:
        """Of each metric the first sample, all of one moment."""
        return first_samples(self.metrics_port)


@contextmanager
def gpu_server(
    folder: Path, models: Mapping[str, tuple[Path, str]], options: Sequence[str] = ()
) -> Iterator[GpuServer]:
    """Serves models, by name a file and the text of its config.pbtxt, with further options of `serve`.

    Raises RunError, with the end of its log, when one of them cannot be loaded.
    """
    repository = folder / "repository"
    for name, (file, config) in models.items():
        version = repository / name / "1"
        version.mkdir(parents=True)
        (version / "model.onnx").symlink_to(file)
        (repository / name / "config.pbtxt").write_text(config)
    (metrics,) = free_ports(1)
    log = folder / "server.log"
    command = own_server.command(
        repository, next(iter(models)), log, "--exit-on-error", *options, metrics_port=metrics
    )
    with serving(command) as running:
        yield GpuServer(running.port, metrics, running, command.log)
