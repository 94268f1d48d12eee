"""One server over a repository of models with configurations of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infermesh_perf import own_server
from infermesh_perf.processes import serving


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
    command = own_server.command(repository, next(iter(models)), folder / "server.log", "--exit-on-error")
    with serving(command) as running:
        yield running.port
