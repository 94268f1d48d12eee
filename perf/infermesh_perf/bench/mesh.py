"""How long a mesh takes to be up, and to be rendered: `python -m infermesh_perf.bench.mesh`."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infermesh_perf import machine
from infermesh_perf.bench import result_file
from infermesh_perf.bench.compare import Spread, interleave
from infermesh_perf.bench.entry import Out, Root, run
from infermesh_perf.errors import SetupError

#: What is written for whom.
TARGETS = {
    **{
        f"kubernetes {mesh}": ("kubernetes", "--mesh", mesh)
        for mesh in ("none", "istio", "linkerd", "consul")
    },
    "compose": ("compose",),
    "nomad": ("nomad",),
}

#: By then a mesh is ready, or has ended, or never will be.
_DEADLINE_SECONDS = 120


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is done.")] = 5,
    models: Annotated[int, typer.Option(min=1, help="How many the rendered mesh has.")] = 1000,
    mesh: Annotated[
        Path, typer.Option(help="The mesh that is brought up.", exists=True, dir_okay=False)
    ] = Path("examples/checkout/mesh.yaml"),
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure `infermesh up` from its start until it says that all is ready, and `infermesh render`.

    Each is a process of its own, as people start it; what is rendered is one server with all of the models,
    and an app. The models of the mesh that is brought up have to be there. The result is written to
    `perf/results/mesh-DATE-KIND.json`.
    """
    options = {"rounds": rounds, "models": models, "mesh": str(mesh)}
    result = result_file.begin(options, machine.own_versions())
    ready = [_ready(mesh) for _ in range(rounds)]
    rendered: dict[str, list[float]] = {name: [] for name in TARGETS}
    with tempfile.TemporaryDirectory(prefix="infermesh-perf-") as folder:
        file = _many_models(Path(folder), models)
        for turn, name in interleave(rounds, list(TARGETS)):
            rendered[name].append(_render(file, TARGETS[name], Path(folder) / f"{name}-{turn}"))
    found = {
        "ready_seconds": ready,
        "render_seconds": rendered,
        "summary": {
            "ready": asdict(Spread.of(ready)),
            "render": {name: asdict(Spread.of(times)) for name, times in rendered.items()},
        },
    }
    path = result_file.save(result | found, "mesh", root, out)
    console = Console()
    console.print(f"{mesh} ready after {Spread.of(ready)} s", highlight=False)
    for name, times in rendered.items():
        console.print(f"{models} models rendered for {name}: {Spread.of(times)} s", highlight=False)
    console.print(f"written to {path}", highlight=False, soft_wrap=True)


def _ready(mesh: Path) -> float:
    """Seconds from the start of the process until it says so; it is ended, and has to end well."""
    command = [sys.executable, "-m", "infermesh", "up", str(mesh), "--page-port", "0"]
    began = time.perf_counter()
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
        _ended(process),
    ):
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if " is ready after " in line:
                took = time.perf_counter() - began
                break
        else:
            raise SetupError(f"{mesh} did not come up:\n{''.join(lines[-10:])}")
        process.send_signal(signal.SIGINT)
        # Read on, so that it can write.
        lines += process.stdout
        if (code := process.wait()) != 0:
            raise SetupError(f"{mesh} ended with {code}:\n{''.join(lines[-10:])}")
    return took


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Whatever happens, it ends within the deadline."""
    timer = threading.Timer(_DEADLINE_SECONDS, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.kill()


def _many_models(folder: Path, models: int) -> Path:
    for number in range(models):
        (folder / "models" / f"model_{number:04}" / "1").mkdir(parents=True)
        (folder / "models" / f"model_{number:04}" / "1" / "model.onnx").touch()
    file = folder / "mesh.yaml"
    file.write_text("models: models\napps: {shop: {port: 8080, image: registry.example/shop:1}}\n")
    return file


def _render(mesh: Path, target: Sequence[str], output: Path) -> float:
    command = [sys.executable, "-m", "infermesh", "render", *target, str(mesh), "-o", str(output)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_SECONDS, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise SetupError(f"{' '.join(target)} was not rendered: {done.stderr}")
    return took


if __name__ == "__main__":
    run(main, "infermesh_perf.bench.mesh")
