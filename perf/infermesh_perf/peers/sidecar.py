"""infermesh's own proxy in front of any server, from the environment that the benchmark runs in."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from infermesh_perf.own_server import PROGRAM
from infermesh_perf.peers.base import Front
from infermesh_perf.peers.mutual import LOOPBACK, Mutual
from infermesh_perf.processes import Command, free_ports


class Sidecar:
    """`infermesh sidecar` as it comes: told where to listen and what is behind it, and nothing else."""

    name = "sidecar"

    def __init__(self, root: Path) -> None:
        """`root` is the repository's root."""
        self._home = root / ".peers" / self.name

    def versions(self) -> dict[str, str]:
        """The data plane, and what starts it."""
        return {name: version(name) for name in ("infermesh-native", "infermesh-sidecar")}

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
        options += ["--admin", f"{LOOPBACK}:{admin}"]
        log = self._home / "before" / f"{name}.log"
        identity = mutual.presented if mutual else None
        command = Command((*PROGRAM, self.name, *options), model, listener, log, identity=identity)
        return Front(command, f"http://{LOOPBACK}:{admin}/metrics")
