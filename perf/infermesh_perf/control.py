"""What the benchmarks of loading share: a server under explicit control, and a client that controls it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

import grpc
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import grpc_service_pb2_grpc

from infermesh_perf.errors import RunError
from infermesh_perf.processes import Command, free_ports

SECONDS = 600.0


class Control:
    """One connection of its own for the repository RPCs; used as a context manager."""

    def __init__(self, port: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    def __enter__(self) -> Control:
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the channel."""
        self._channel.close()

    def load(self, name: str) -> None:
        """Load a model; returns when it is ready. Raises RunError when it is not."""
        try:
            self._stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=name), timeout=SECONDS)
        except grpc.RpcError as error:
            raise RunError(f"cannot load {name}: {error}") from error

    def unload(self, name: str) -> None:
        """Unload a model; returns when it is gone."""
        self._stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=name), timeout=SECONDS)

    def index(self) -> int:
        """Ask for the repository index; returns how many versions it lists."""
        return len(self._stub.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=SECONDS).models)


def command(repository: Path, model: str, log: Path, *, everything: bool = False) -> Command:
    """A server of this environment that loads ``model`` of a repository, or all of it."""
    (port,) = free_ports(1)
    # Not resolved: the interpreter of a virtual environment is a link, its commands lie beside the link.
    program = Path(sys.executable).parent / "infermesh"
    listen = ("--grpc-address", "127.0.0.1", "--grpc-port", str(port), "--no-http", "--no-metrics")
    control = ("--model-control-mode", "explicit", "--load-model", "*" if everything else model)
    return Command((str(program), "serve", str(repository), *listen, *control), model, port, log)
