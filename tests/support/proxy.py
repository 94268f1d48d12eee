"""A real proxy process between a test's clients and its upstreams, and short ways to say what it does."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

from support.process import Process, stop_in_order
from support.rest import Rest

_SCRIPT = Path(__file__).with_name("run_proxy.py")

#: How long what is under way may take to end after SIGTERM.
GRACE_SECONDS = 20.0

#: Of clusters, and of the routes to them.
UPSTREAM = "upstream"


@dataclass(frozen=True)
class Endpoint:
    """Attempts that were made at an upstream, and its breaker."""

    attempts: int
    breaker: str
    openings: int


class Proxy(Process):
    """One proxy with this configuration, which is kept in ``folder``."""

    def __init__(self, config: pb.ProxyConfig, folder: Path, *, grace: float = GRACE_SECONDS) -> None:
        file = folder / f"{config.name}.binpb"
        file.write_bytes(config.SerializeToString())
        super().__init__([sys.executable, _SCRIPT, file, str(grace)])

    def port(self, listener: str = "outbound") -> int:
        """What it bound for a listener."""
        record = self.wait_for("proxy-listening", lambda it: it["infermesh.listener.name"] == listener)
        return int(record["server.address"].rpartition(":")[2])

    def target(self, listener: str = "outbound") -> str:
        """Where clients find a listener."""
        return f"127.0.0.1:{self.port(listener)}"

    def endpoint(self, port: int) -> Endpoint:
        """What it knows of an upstream."""
        with Rest(self.port("admin")) as admin:
            endpoints = admin.get("/endpoints").json
        (found,) = (it for it in endpoints if it["endpoint"] == f"127.0.0.1:{port}")
        breaker = found["breaker"] or {"state": "absent", "openings": 0}
        return Endpoint(found["requests"], breaker["state"], breaker["openings"])


@contextlib.contextmanager
def proxying(config: pb.ProxyConfig, folder: Path) -> Iterator[Proxy]:
    """A proxy for as long as the block lasts; it ends in order."""
    proxy = Proxy(config, folder)
    try:
        proxy.wait_for("proxy-ready")
        yield proxy
        stop_in_order(proxy)
    finally:
        if proxy.running:
            proxy.kill()


def outbound(*ports: int, route: pb.Route | None = None, cluster: pb.Cluster | None = None) -> pb.ProxyConfig:
    """Everything goes to these ports of loopback, with the policies of ``route`` and ``cluster``."""
    return pb.ProxyConfig(
        name="proxy",
        listeners=[listener("outbound", route or pb.Route())],
        clusters=[upstream(ports, cluster or pb.Cluster())],
    )


def listener(name: str, *routes: pb.Route) -> pb.Listener:
    """On any port of loopback; routes that name no cluster lead to the upstreams."""
    found = pb.Listener(name=name, address="127.0.0.1:0", routes=routes)
    for route in found.routes:
        route.cluster = route.cluster or UPSTREAM
    return found


def upstream(ports: Sequence[int], given: pb.Cluster) -> pb.Cluster:
    """A cluster of these ports of loopback."""
    found = pb.Cluster()
    found.CopyFrom(given)
    found.name = found.name or UPSTREAM
    found.static.endpoints.extend(f"127.0.0.1:{port}" for port in ports)
    return found


def nanos(seconds: float) -> int:
    """As the configuration has durations."""
    return round(seconds * 1e9)
