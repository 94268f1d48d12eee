"""Binds what the options ask for, and says where clients find it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from infermesh.errors import InfermeshError
from infermesh.logs import ecs
from infermesh_native import Tls

from infermesh_servers.model.connections import Certificates
from infermesh_servers.model.options import ServeOptions

_log = logging.getLogger(__name__)

Bind = Callable[[str, int, Tls | None], tuple[str, int]]


class Server(Protocol):
    """The part of ``infermesh_native.Server`` that binds; see there."""

    def listen_tcp(self, host: str, port: int, tls: Tls | None = None) -> tuple[str, int]:
        """Bind and serve gRPC; returns the bound address. Raises OSError."""

    def listen_unix(self, path: str) -> None:
        """Bind and serve gRPC on a unix socket. Raises OSError."""

    def listen_http(self, host: str, port: int, tls: Tls | None = None) -> tuple[str, int]:
        """As ``listen_tcp``, for HTTP."""

    def listen_metrics(self, host: str, port: int, tls: Tls | None = None) -> tuple[str, int]:
        """As ``listen_tcp``, for /metrics."""


def listen(server: Server, options: ServeOptions, certificates: Certificates) -> list[str]:
    """Bind what was asked for; returns URLs for inference that a client on this machine can use.

    Raises InfermeshError, naming the address and what to try, if one cannot be bound.
    """
    urls: list[str] = []
    if (port := options.tcp_port) is not None:
        host, bound = _bind(
            server.listen_tcp,
            options.grpc_address,
            port,
            certificates.grpc,
            "--grpc-port 0 picks a free port",
        )
        # Without a protocol: it is the first line of the kind, and was the only one.
        _log.info(
            "Listening on %s port %d",
            host,
            bound,
            extra=ecs("server-listening", server__address=host, server__port=bound),
        )
        urls.append(f"{'grpcs' if certificates.grpc else 'grpc'}://{_reachable(host)}:{bound}")
    if options.grpc_socket is not None:
        urls.append(_listen_unix(server, options.grpc_socket))
    if (port := options.http_tcp_port) is not None:
        hint = "--http-port 0 picks a free port, --no-http does without"
        host, bound = _bind(server.listen_http, options.http_address, port, certificates.http, hint)
        _say("HTTP", "/v2", host, bound)
        urls.append(f"{'https' if certificates.http else 'http'}://{_reachable(host)}:{bound}")
    if (port := options.metrics_tcp_port) is not None:
        hint = "--metrics-port 0 picks a free port, --no-metrics does without"
        address = options.http_address if options.metrics_address is None else options.metrics_address
        host, bound = _bind(server.listen_metrics, address, port, certificates.metrics, hint)
        _say("metrics", "/metrics", host, bound)
    return urls


def _bind(bind: Bind, address: str, port: int, tls: Tls | None, hint: str) -> tuple[str, int]:
    try:
        return bind(address, port, tls)
    except OSError as error:
        raise InfermeshError(f"cannot listen on {address}:{port}: {error}", hint=hint) from error


def _listen_unix(server: Server, path: Path) -> str:
    try:
        server.listen_unix(str(path))
    except OSError as error:
        raise InfermeshError(f"cannot listen on the unix socket {path}: {error}") from error
    _log.info("Listening on unix socket %s", path, extra=ecs("server-listening", server__address=str(path)))
    return f"unix:{path}"


def _say(what: str, path: str, host: str, port: int) -> None:
    _log.info(
        "Listening for %s on %s port %d",
        what,
        host,
        port,
        extra=ecs(
            "server-listening",
            server__address=host,
            server__port=port,
            network__protocol="http",
            url__path=path,
        ),
    )


def _reachable(host: str) -> str:
    """Return an address that can be connected to: nobody connects to a wildcard."""
    wildcards = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
    return wildcards.get(host) or (f"[{host}]" if ":" in host else host)
