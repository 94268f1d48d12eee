"""infermesh itself, started by its own command from the environment that the benchmark runs in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from infermesh_perf.errors import SetupError
from infermesh_perf.models import Model
from infermesh_perf.peers.base import Peer, fresh, place, triton_config
from infermesh_perf.processes import Command, free_ports

MODEL_FILE = Path(__file__).parent / "assets" / "infermesh_model.py"


class Infermesh(Peer):
    """`infermesh serve` with the same configuration file as Triton, but for the backend."""

    name = "infermesh"
    backend = "onnxruntime"

    def __init__(self, root: Path) -> None:
        """`root` is the repository's root."""
        self._root = root
        self._home = root / ".peers" / self.name
        # Not resolved: the interpreter of a virtual environment is a link, its commands lie beside the link.
        self._program = Path(sys.executable).parent / "infermesh"

    def install(self) -> None:
        """Installs nothing: what this environment holds is measured. Raises SetupError when it holds none."""
        if not self._program.exists():
            hint = "install the workspace into this environment, or leave infermesh out of --peers"
            raise SetupError(f"{self._program} is missing", hint)

    def versions(self) -> dict[str, str]:
        """Its distributions, what it calls, and the commit with `-dirty` for uncommitted changes."""
        names = ("infermesh", "infermesh-servers", "infermesh-native", "onnxruntime", "numpy")
        commit = subprocess.run(
            ["git", "-C", str(self._root), "describe", "--always", "--dirty"],
            check=False,
            capture_output=True,
            text=True,
        )
        return {name: _version(name) for name in names} | {"commit": commit.stdout.strip() or "none"}

    def settings(self, model: Model) -> dict[str, int]:
        """One thread for each call; a compute-bound model gets an instance per core, as Triton does here."""
        cores = len(os.sched_getaffinity(0))
        return {"instances": cores if model.compute_bound else 1, "intra_op_threads": 1}

    def command(self, model: Model, onnx: Path) -> Command:
        """A server on loopback with one model."""
        repository = fresh(self._home / "repository" / model.name)
        settings = self.settings(model)
        place(onnx, repository / model.name / "1" / "model.onnx")
        (repository / model.name / "config.pbtxt").write_text(triton_config(model, self.backend, **settings))
        (port,) = free_ports(1)
        return Command(
            arguments=(
                str(self._program),
                "serve",
                str(repository),
                *("--grpc-address", "127.0.0.1", "--grpc-port", str(port), "--no-http", "--no-metrics"),
            ),
            model=model.name,
            grpc_port=port,
            log=self._home / "server.log",
        )


class InfermeshThroughPython(Infermesh):
    """The same server, but ONNX Runtime is called by a Python model: why the C library is the default."""

    name = "infermesh-python"
    backend = "python"

    def command(self, model: Model, onnx: Path) -> Command:
        """As infermesh, with a model.py beside the model."""
        command = super().command(model, onnx)
        version = self._home / "repository" / model.name / model.name / "1"
        shutil.copyfile(MODEL_FILE, version / "model.py")
        return command


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
