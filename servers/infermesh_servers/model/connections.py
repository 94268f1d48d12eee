"""What the options say about connections, in the data plane's terms."""

from dataclasses import dataclass
from typing import Self

import infermesh_native
from infermesh.errors import ConfigurationError

from infermesh_servers.model.options import ServeOptions
from infermesh_servers.model.options.tls import TlsFiles


def limits(options: ServeOptions) -> infermesh_native.Limits:
    """How much clients may ask for at once."""
    return infermesh_native.Limits(
        max_message_bytes=options.grpc_max_receive_message_bytes,
        max_input_bytes=options.http_max_input_size,
        max_connections=options.connection_limit,
        memory_budget_bytes=options.memory_budget,
    )


def rules(options: ServeOptions) -> infermesh_native.Rules:
    """The life of gRPC connections."""
    return infermesh_native.Rules(
        max_age=_seconds(options.grpc_max_connection_age),
        max_age_grace=_seconds(options.grpc_max_connection_age_grace),
        keepalive_time=options.grpc_keepalive_time / 1e3,
        keepalive_timeout=options.grpc_keepalive_timeout / 1e3,
        keepalive_permit_without_calls=options.grpc_keepalive_permit_without_calls,
        max_pings_without_data=options.grpc_http2_max_pings_without_data,
        min_ping_interval=options.grpc_http2_min_recv_ping_interval_without_data / 1e3,
        max_ping_strikes=options.grpc_http2_max_ping_strikes,
        write_timeout=options.write_timeout_secs,
    )


@dataclass(frozen=True)
class Certificates:
    """What each edge is encrypted with; None where it is not."""

    grpc: infermesh_native.Tls | None = None
    http: infermesh_native.Tls | None = None
    metrics: infermesh_native.Tls | None = None

    @classmethod
    def load(cls, options: ServeOptions) -> Self:
        """Read and check every file. Raises ConfigurationError for files that cannot be used."""
        http = _tls("HTTP", options.http_tls, "http/1.1") if options.http_tcp_port is not None else None
        return cls(
            grpc=_tls("gRPC", options.grpc_tls, "h2"),
            http=http,
            metrics=_tls("metrics", options.http_tls, "http/1.1") if options.metrics_use_ssl else None,
        )


def _tls(edge: str, files: TlsFiles | None, protocol: str) -> infermesh_native.Tls | None:
    if files is None:
        return None
    try:
        return infermesh_native.Tls(
            certificate=str(files.server_cert),
            key=str(files.server_key),
            protocol=protocol,
            authorities=None if files.root_cert is None else str(files.root_cert),
        )
    except ValueError as error:
        raise ConfigurationError(f"TLS for {edge}: {error}") from error


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3
