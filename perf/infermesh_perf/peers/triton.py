"""Triton Inference Server, as the nvidia-pytriton wheel ships it: the real binary with its Python backend."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from infermesh_perf.environment import Environment
from infermesh_perf.errors import SetupError
from infermesh_perf.models import Model
from infermesh_perf.peers.base import Peer, fresh, place, triton_config
from infermesh_perf.processes import Command, free_ports

STUB = "triton_python_backend_stub"
ASSETS = Path(__file__).parent / "assets"


class Triton(Peer):
    """Triton with a Python-backend model that calls ONNX Runtime; its ONNX backend is in no wheel."""

    name = "triton"
    model_file = ASSETS / "triton_model.py"

    def __init__(self, root: Path) -> None:
        """`root` is the repository's root."""
        self._home = root / ".peers" / "triton"
        self._environment = Environment(self._home, root / "requirements" / "peers-triton.txt")

    def install(self) -> None:
        """Installs the wheel and puts the stub of this interpreter beside the Python backend."""
        self._environment.install()
        server = self._server
        wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
        stub = server / "python_backend_stubs" / wanted / STUB
        if not stub.exists():
            known = sorted(path.name for path in (server / "python_backend_stubs").iterdir())
            raise SetupError(f"Triton's Python backend has no stub for Python {wanted}, only for {known}")
        target = server / "backends" / "python" / STUB
        shutil.copyfile(stub, target)
        # Wheels do not keep the executable bit everywhere.
        for program in (target, server / "bin" / "tritonserver"):
            program.chmod(0o755)

    def versions(self) -> dict[str, str]:
        """The wheel and what its model calls."""
        return self._environment.versions("nvidia-pytriton", "onnxruntime", "numpy")

    def settings(self, model: Model) -> dict[str, int]:
        """One instance for a small model, since each further one is a process that splits the batches.

        A compute-bound model gets one on each core: on two cores that was up to 8 % faster than one instance
        with two threads.
        """
        cores = len(os.sched_getaffinity(0))
        return {"instances": cores if model.compute_bound else 1, "intra_op_threads": 1}

    def command(self, model: Model, onnx: Path) -> Command:
        """A server that does nothing but serve: no metrics, no HTTP, no guessing of the configuration."""
        repository = fresh(self._home / "repository" / model.name)
        settings = self.settings(model)
        place(onnx, repository / model.name / "1" / "model.onnx")
        shutil.copyfile(self.model_file, repository / model.name / "1" / "model.py")
        (repository / model.name / "config.pbtxt").write_text(triton_config(model, "python", **settings))
        (port,) = free_ports(1)
        server = self._server
        return Command(
            arguments=(
                str(server / "bin" / "tritonserver"),
                f"--model-repository={repository}",
                f"--backend-directory={server / 'backends'}",
                "--disable-auto-complete-config",
                "--grpc-address=127.0.0.1",
                f"--grpc-port={port}",
                # Response objects are kept for as many requests as are in flight.
                "--grpc-infer-allocation-pool-size=64",
                "--allow-http=false",
                "--allow-metrics=false",
                "--log-info=false",
            ),
            model=model.name,
            grpc_port=port,
            log=self._home / "server.log",
            environment=self._variables(),
        )

    @property
    def _server(self) -> Path:
        return self._environment.packages / "pytriton" / "tritonserver"

    def _variables(self) -> dict[str, str]:
        libraries = [
            str(self._environment.packages / "nvidia_pytriton.libs"),
            # The stub embeds the interpreter, whose shared library may be outside the linker's usual places.
            str(sysconfig.get_config_var("LIBDIR")),
            *filter(None, [os.environ.get("LD_LIBRARY_PATH")]),
        ]
        return {
            "LD_LIBRARY_PATH": ":".join(libraries),
            # The embedded interpreter finds its environment by the first `python3` on the path.
            "PATH": f"{self._environment.binaries}:{os.environ.get('PATH', '')}",
        }


class TritonIdentity(Triton):
    """The same server with a model that hands its input through, for the cost of the way alone."""

    name = "triton-identity"
    model_file = ASSETS / "triton_identity.py"
