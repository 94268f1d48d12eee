"""infermesh itself, started by its own command from the environment that the benchmark runs in."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from infermesh_perf import own_server
from infermesh_perf.errors import SetupError
from infermesh_perf.peers.repository import RepositoryPeer
from infermesh_perf.processes import Command

MODEL_FILE = Path(__file__).parent / "assets" / "infermesh_model.py"


class Infermesh(RepositoryPeer):
    """`infermesh serve` with the same configuration file as Triton, but for the backend."""

    name = "infermesh"
    backend = "onnxruntime"

    def __init__(self, root: Path) -> None:
        """`root` is the repository's root."""
        super().__init__(root / ".peers" / self.name)
        self._root = root

    def install(self) -> None:
        """Installs nothing: what this environment holds is measured. Raises SetupError when it holds none."""
        if (what := self.missing()) is not None:
            hint = "install the workspace into this environment, or leave infermesh out of --peers"
            raise SetupError(what, hint)

    def missing(self) -> str | None:
        """The server's distribution, if this environment has none."""
        return None if find_spec("infermesh_servers") else "infermesh-servers is missing"

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

    def serving(self, repository: Path, model: str) -> Command:
        """A server on loopback."""
        return own_server.command(repository, model, self._home / "server.log")


class InfermeshThroughPython(Infermesh):
    """The same server, but ONNX Runtime is called by a Python model: why the C library is the default."""

    name = "infermesh-python"
    backend = "python"
    model_file = MODEL_FILE


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
