"""infermesh's own proxy in front of any server, from the environment that the benchmark runs in."""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from infermesh_perf.own_server import PROGRAM
from infermesh_perf.peers.base import Front
from infermesh_perf.peers.mutual import LOOPBACK, Mutual
from infermesh_perf.processes import Command, free_ports

BARE = Path(__file__).parent / "assets" / "bare_proxy.py"


class Sidecar:
    """`infermesh sidecar` as it comes: told where to listen and what is behind it, and nothing else."""

    name = "sidecar"

    def __init__(self, root: Path) -> None:
        """`root` is the repository's root."""
        self._home = root / ".peers" / self.name

    def versions(self) -> dict[str, str]:
        """The engine, and what starts it."""
        started = f"{self.name} command" if _has_command() else BARE.name
        return {"infermesh-native": version("infermesh-native"), "started by": started}

    def before(
        self, name: str, port: int, model: str, threads: int | None = None, mutual: Mutual | None = None
    ) -> Front:
        """See `Proxy`; by itself it has a network thread for each core, two at most."""
        listener, admin = free_ports(2)
        options = ["--listen", f"{LOOPBACK}:{listener}", "--upstream", f"{LOOPBACK}:{port}"]
        if threads is not None:
            options += ["--threads", str(threads)]
        if mutual is not None:
            side = "--inbound" if mutual.towards == "callers" else "--outbound"
            options += ["--identity", str(mutual.identity), side]
        program, metrics = [sys.executable, str(BARE)], ""
        if _has_command():
            program, metrics = [*PROGRAM, self.name], f"http://{LOOPBACK}:{admin}/metrics"
            options += ["--admin", f"{LOOPBACK}:{admin}"]
        log = self._home / "before" / f"{name}.log"
        identity = mutual.presented if mutual else None
        return Front(Command((*program, *options), model, listener, log, identity=identity), metrics)


def _has_command() -> bool:
    try:
        return find_spec("infermesh_sidecar.command") is not None
    except ModuleNotFoundError:
        return False
