"""Triton Inference Server, as the nvidia-pytriton wheel ships it: the real binary with its Python backend."""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from infermesh_perf.environment import Environment
from infermesh_perf.errors import SetupError
from infermesh_perf.peers.repository import RepositoryPeer
from infermesh_perf.processes import Command, free_ports

STUB = "triton_python_backend_stub"
ASSETS = Path(__file__).parent / "assets"


class Triton(RepositoryPeer):
    """Triton with a Python-backend model that calls ONNX Runtime; its ONNX backend is in no wheel."""

    name = "triton"
    backend = "python"
    model_file = ASSETS / "triton_model.py"

    def __init__(self, root: Path) -> None:
        """`root` is the repository's root."""
        # Its variants share what is installed.
        super().__init__(root / ".peers" / "triton")
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
        if not (self._stub.exists() and filecmp.cmp(stub, self._stub, shallow=False)):
            shutil.copyfile(stub, self._stub)
        # Wheels do not keep the executable bit everywhere.
        for program in (self._stub, server / "bin" / "tritonserver"):
            program.chmod(0o755)

    def missing(self) -> str | None:
        """What `install` has not brought yet, in words, or None if everything is there."""
        if not self._environment.installed:
            return f"Triton is not set up in {self._home}: infermesh perf peers setup triton does it"
        if not self._stub.exists():
            return "Triton has no stub of this interpreter: infermesh perf peers setup triton puts it there"
        return None

    def versions(self) -> dict[str, str]:
        """The wheel and what its model calls."""
        return self._environment.versions("nvidia-pytriton", "onnxruntime", "numpy")

    def serving(self, repository: Path, model: str) -> Command:
        """A server that does nothing but serve: no metrics, no HTTP, no guessing of the configuration."""
        # Response objects are kept for as many requests as are in flight.
        pool = "--grpc-infer-allocation-pool-size=64"
        return self.server(repository, model, self._home / "server.log", pool, "--log-info=false")

    def server(self, repository: Path, model: str, log: Path, *options: str) -> Command:
        """The server on loopback with gRPC alone and what else it is told; it is up when `model` is ready."""
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
                "--allow-http=false",
                "--allow-metrics=false",
                *options,
            ),
            model=model,
            grpc_port=port,
            log=log,
            environment=self._variables(),
        )

    @property
    def _server(self) -> Path:
        return self._environment.packages / "pytriton" / "tritonserver"

    @property
    def _stub(self) -> Path:
        """The program that runs Python models."""
        return self._server / "backends" / "python" / STUB

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
