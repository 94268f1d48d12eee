"""How much clients may ask of this process at once."""

import resource
from dataclasses import dataclass
from typing import Annotated

import typer

from infermesh_servers.model.machine_memory import machine_memory

#: What one message can be, by the type of its length in protobuf.
MAX_BYTES = 2**31 - 1
#: Files that are left for models, logs and the process itself.
_OTHER_FILES = 128
_MAX_CONNECTIONS = 65_536


def _size_option(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        min=1, max=MAX_BYTES, metavar="BYTES", help=f"Refuse larger {what}."
    )
    return option


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """Sizes, connections and memory."""

    grpc_max_receive_message_bytes: Annotated[int, _size_option("gRPC messages")] = MAX_BYTES
    http_max_input_size: Annotated[int, _size_option("HTTP bodies")] = MAX_BYTES
    max_connections: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default="what the limit of open files allows",
            help="Refuse connections beyond these; those for metrics do not count.",
        ),
    ] = None
    memory_budget_bytes: Annotated[
        int | None,
        typer.Option(
            min=1 << 20,
            metavar="BYTES",
            show_default="half of the memory that this process may have",
            help="Memory for requests under way and their answers; new ones are refused from 95 % of it on.",
        ),
    ] = None

    @property
    def connection_limit(self) -> int:
        """The number of connections, chosen by the limit of open files where none was given."""
        if self.max_connections is not None:
            return self.max_connections
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files == resource.RLIM_INFINITY:
            return _MAX_CONNECTIONS
        return max(1, min(files - _OTHER_FILES, _MAX_CONNECTIONS))

    @property
    def memory_budget(self) -> int:
        """The budget in bytes; half of what the machine or the container has where none was given."""
        return machine_memory() // 2 if self.memory_budget_bytes is None else self.memory_budget_bytes
