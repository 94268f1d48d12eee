"""What ``infermesh serve`` can be told, checked as a whole before anything starts."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.logs import LogFormat

#: Triton's own ports, used unless only a socket is asked for.
DEFAULT_HTTP_PORT = 8000
DEFAULT_GRPC_PORT = 8001
DEFAULT_METRICS_PORT = 8002

EVERY_MODEL = "*"


class ModelControlMode(StrEnum):
    """Who decides what is loaded, and when, in Triton's words."""

    #: Everything in the repository, once.
    NONE = "none"
    #: Everything in the repository, and whatever changes in it later.
    POLL = "poll"
    #: What ``--load-model`` names.
    EXPLICIT = "explicit"


@dataclass(frozen=True)
class ServeOptions:
    """The command line of ``infermesh serve``; see its help for each field. Times are in seconds."""

    repository: Path
    grpc_address: str = "0.0.0.0"
    grpc_port: int | None = None
    grpc_socket: Path | None = None
    http: bool = True
    http_address: str = "0.0.0.0"
    http_port: int | None = None
    metrics: bool = True
    #: None: that of HTTP.
    metrics_address: str | None = None
    metrics_port: int | None = None
    model_control_mode: ModelControlMode = ModelControlMode.NONE
    load_models: tuple[str, ...] = ()
    repository_poll_secs: float = 15.0
    exit_timeout_secs: float = 30.0
    strict_readiness: bool = True
    exit_on_error: bool = False
    io_threads: int = 0
    log_format: LogFormat = LogFormat.AUTO

    def __post_init__(self) -> None:
        """Raise ConfigurationError for options that do not fit together."""
        if self.load_models and self.model_control_mode is not ModelControlMode.EXPLICIT:
            raise ConfigurationError(
                f"--load-model was given with --model-control-mode {self.model_control_mode}, "
                "where the repository alone decides what is loaded",
                hint="add --model-control-mode explicit, or leave --load-model out",
            )
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
