"""Where the server listens."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from infermesh.errors import ConfigurationError

#: Triton's own ports, used unless only a socket is asked for.
DEFAULT_HTTP_PORT = 8000
DEFAULT_GRPC_PORT = 8001
DEFAULT_METRICS_PORT = 8002


def _port_option(default: int, what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        min=0,
        max=65535,
        metavar="PORT",
        show_default=f"{default}; none with --grpc-socket alone",
        help=f"Port to listen on for {what}; 0 picks a free one.",
    )
    return option


@dataclass(frozen=True, kw_only=True)
class ListenOptions:
    """Addresses, ports and sockets."""

    grpc_address: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on for gRPC.")] = (
        "0.0.0.0"
    )
    grpc_port: Annotated[int | None, _port_option(DEFAULT_GRPC_PORT, "gRPC")] = None
    grpc_socket: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Unix socket to listen on; with --grpc-port, beside it."),
    ] = None
    http: Annotated[bool, typer.Option(help="Whether to serve HTTP: JSON and binary tensors.")] = True
    http_address: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on for HTTP.")] = (
        "0.0.0.0"
    )
    http_port: Annotated[int | None, _port_option(DEFAULT_HTTP_PORT, "HTTP")] = None
    metrics: Annotated[bool, typer.Option(help="Whether to serve Prometheus' /metrics.")] = True
    metrics_address: Annotated[
        str | None,
        typer.Option(metavar="HOST", show_default="that of HTTP", help="Address to listen on for /metrics."),
    ] = None
    metrics_port: Annotated[int | None, _port_option(DEFAULT_METRICS_PORT, "/metrics")] = None
    io_threads: Annotated[
        int, typer.Option(min=0, metavar="N", help="Threads for connections; 0 is one per core.")
    ] = 0

    def check(self) -> None:
        """Raise ConfigurationError for options that do not fit together."""
        for name, wanted, port in (
            ("http", self.http, self.http_port),
            ("metrics", self.metrics, self.metrics_port),
        ):
            if port is not None and not wanted:
                raise ConfigurationError(
                    f"--{name}-port {port} was given with --no-{name}", hint="leave one of them out"
                )

    @property
    def tcp_port(self) -> int | None:
        """The port to bind for gRPC, 0 for any free one; None where a socket alone was asked for."""
        return self._port(self.grpc_port, DEFAULT_GRPC_PORT)

    @property
    def http_tcp_port(self) -> int | None:
        """As ``tcp_port``, for HTTP; None where it is not wanted, too."""
        return self._port(self.http_port, DEFAULT_HTTP_PORT) if self.http else None

    @property
    def metrics_tcp_port(self) -> int | None:
        """As ``http_tcp_port``, for metrics."""
        return self._port(self.metrics_port, DEFAULT_METRICS_PORT) if self.metrics else None

    def _port(self, asked: int | None, default: int) -> int | None:
        # Who asks for a socket and for no port wants nothing that the network can reach.
        if asked is None and self.grpc_port is None and self.grpc_socket is not None:
            return None
        return default if asked is None else asked
