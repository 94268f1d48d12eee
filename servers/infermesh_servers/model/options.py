"""What ``infermesh serve`` can be told, checked as a whole before anything starts."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from infermesh.errors import ConfigurationError
from infermesh.logs import LogFormat

#: Triton's own port, used unless only a socket is asked for.
DEFAULT_GRPC_PORT = 8001

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

    @property
    def tcp_port(self) -> int | None:
        """The port to bind, 0 for any free one; None where a socket alone was asked for."""
        if self.grpc_port is None and self.grpc_socket is not None:
            return None
        return DEFAULT_GRPC_PORT if self.grpc_port is None else self.grpc_port
