"""What can be asked of a v2 server, whichever protocol carries it."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import model_config_pb2
from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.target.target import Target


@dataclass(frozen=True)
class ServerInfo:
    """Who answers, and which extensions of the protocol it has."""

    name: str
    version: str
    extensions: tuple[str, ...]


class Api(Protocol):
    """A server, used as a context manager.

    Every call has a deadline, carries the target's headers and may be made from any thread. All raise
    RunError if the server cannot be reached, does not answer in time or refuses (RefusedError then), and
    SetupError if it does not let this client in. An empty `version` lets the server choose.
    """

    target: Target

    def __enter__(self) -> Self:
        """The server itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends its connections."""

    def server(self) -> ServerInfo:
        """What it says about itself."""
        ...

    def server_ready(self) -> bool:
        """Whether it serves."""
        ...

    def model_ready(self, name: str, version: str = "") -> bool:
        """Whether it serves a model."""
        ...

    def metadata(self, name: str, version: str = "") -> pb.ModelMetadataResponse:
        """A model's tensors."""
        ...

    def config(self, name: str, version: str = "") -> model_config_pb2.ModelConfig | None:
        """A model's configuration; None from servers that have none."""
        ...

    def statistics(self, name: str = "", version: str = "") -> pb.ModelStatisticsResponse | None:
        """Counts and durations of a model, of all if no name is given; None from servers that have none."""
        ...

    def index(self) -> pb.RepositoryIndexResponse | None:
        """Its models; None from servers that do not tell."""
        ...

    def register_system_memory(self, name: str, key: str, byte_size: int) -> None:
        """Makes it map an object of system shared memory under a name."""

    def unregister_system_memory(self, name: str) -> None:
        """Makes it forget one."""

    def register_cuda_memory(self, name: str, handle: bytes, device: int, byte_size: int) -> None:
        """Makes it open GPU memory; `handle` is the `cudaIpcMemHandle_t`, byte for byte."""

    def unregister_cuda_memory(self, name: str) -> None:
        """Makes it forget one."""

    def infer(self, path: str, payload: load_pb2.Payload, sequence: int = 0) -> pb.ModelInferResponse:
        """One request as the load generator would send it; of several answers the first.

        `path` is that of the workload. A request to a model with sequences is one of its own, by the id
        `sequence`. Contents of the answer are always raw.
        """
        ...
