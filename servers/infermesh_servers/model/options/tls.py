"""Whether connections are encrypted, and whether clients must say who they are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from infermesh.errors import ConfigurationError


def _use_option(edge: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=f"Whether {edge} is served over TLS.")
    return option


def _mutual_option(edge: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        help=f"Whether {edge} is served over TLS to clients with a certificate only."
    )
    return option


def _file_option(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(metavar="PATH", help=f"File with {what}, in PEM.")
    return option


_CERTIFICATE = "the server's certificate, and those between it and its authority"
_KEY = "the key of the server's certificate"
_ROOTS = "the certificates of the authorities that clients' certificates are from"


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """Where the files of one edge lie; ``root_cert`` is there if clients need a certificate."""

    server_cert: Path
    server_key: Path
    root_cert: Path | None


@dataclass(frozen=True, kw_only=True)
class TlsOptions:
    """TLS of gRPC, with Triton's flags; of HTTP, named alike; of metrics, with HTTP's files."""

    grpc_use_ssl: Annotated[bool, _use_option("gRPC")] = False
    grpc_use_ssl_mutual: Annotated[bool, _mutual_option("gRPC")] = False
    grpc_server_cert: Annotated[Path | None, _file_option(_CERTIFICATE)] = None
    grpc_server_key: Annotated[Path | None, _file_option(_KEY)] = None
    grpc_root_cert: Annotated[Path | None, _file_option(_ROOTS)] = None
    http_use_ssl: Annotated[bool, _use_option("HTTP")] = False
    http_use_ssl_mutual: Annotated[bool, _mutual_option("HTTP")] = False
    http_server_cert: Annotated[Path | None, _file_option(_CERTIFICATE)] = None
    http_server_key: Annotated[Path | None, _file_option(_KEY)] = None
    http_root_cert: Annotated[Path | None, _file_option(_ROOTS)] = None
    metrics_use_ssl: Annotated[
        bool, typer.Option(help="Whether /metrics is served over TLS, as HTTP is and with its files.")
    ] = False

    def check(self) -> None:
        """Raise ConfigurationError for options that do not fit together."""
        _ = self.grpc_tls, self.http_tls
        if self.metrics_use_ssl and self.http_tls is None:
            raise ConfigurationError(
                "--metrics-use-ssl was given without --http-use-ssl, whose files it uses",
                hint="add --http-use-ssl with its files, or leave --metrics-use-ssl out",
            )

    @property
    def grpc_tls(self) -> TlsFiles | None:
        """The files of gRPC; None where it is not encrypted."""
        return _files(
            "grpc",
            self.grpc_use_ssl,
            self.grpc_use_ssl_mutual,
            (self.grpc_server_cert, self.grpc_server_key, self.grpc_root_cert),
        )

    @property
    def http_tls(self) -> TlsFiles | None:
        """As ``grpc_tls``, for HTTP."""
        return _files(
            "http",
            self.http_use_ssl,
            self.http_use_ssl_mutual,
            (self.http_server_cert, self.http_server_key, self.http_root_cert),
        )


def _files(
    edge: str, wanted: bool, mutual: bool, paths: tuple[Path | None, Path | None, Path | None]
) -> TlsFiles | None:
    cert, key, root = paths
    # As in Triton, mutual TLS is TLS: it needs no second flag.
    if not (wanted or mutual):
        for name, path in (("server-cert", cert), ("server-key", key), ("root-cert", root)):
            if path is not None:
                raise ConfigurationError(
                    f"--{edge}-{name} was given, but neither --{edge}-use-ssl nor --{edge}-use-ssl-mutual",
                    hint=f"add --{edge}-use-ssl, or leave the file out",
                )
        return None
    flag = f"--{edge}-use-ssl-mutual" if mutual else f"--{edge}-use-ssl"
    if cert is None or key is None:
        missing = "server-cert" if cert is None else "server-key"
        raise ConfigurationError(
            f"{flag} was given without --{edge}-{missing}",
            hint=f"add --{edge}-{missing} PATH, a file in PEM",
        )
    if mutual and root is None:
        raise ConfigurationError(
            f"{flag} was given without --{edge}-root-cert, so that no client could be trusted",
            hint=f"add --{edge}-root-cert PATH with the authorities of the clients' certificates",
        )
    if root is not None and not mutual:
        raise ConfigurationError(
            f"--{edge}-root-cert was given without --{edge}-use-ssl-mutual: no client would be asked",
            hint=f"add --{edge}-use-ssl-mutual to demand certificates of clients, or leave the file out",
        )
    return TlsFiles(server_cert=cert, server_key=key, root_cert=root)
