"""What the benchmarks of loading share: a server under explicit control, and a client that controls it."""

from __future__ import annotations

from pathlib import Path

from infermesh.proto.inference import grpc_service_pb2 as pb

from infermesh_perf import own_server
from infermesh_perf.processes import Command
from infermesh_perf.rpc import Client

SECONDS = 600.0


class Control(Client):
    """A client of the repository RPCs, with a connection of its own. Raises RunError when one is refused."""

    def __init__(self, port: int) -> None:
        super().__init__(port, ("grpc.use_local_subchannel_pool", 1))

    def load(self, name: str) -> None:
        """Load a model; returns when it is ready."""
        request = pb.RepositoryModelLoadRequest(model_name=name)
        self._ask("RepositoryModelLoad", request.SerializeToString(), SECONDS)

    def unload(self, name: str) -> None:
        """Unload a model; returns when it is gone."""
        request = pb.RepositoryModelUnloadRequest(model_name=name)
        self._ask("RepositoryModelUnload", request.SerializeToString(), SECONDS)

    def index(self) -> int:
        """Ask for the repository index; returns how many versions it lists."""
        answer = self._ask("RepositoryIndex", pb.RepositoryIndexRequest().SerializeToString(), SECONDS)
        return len(pb.RepositoryIndexResponse.FromString(answer).models)


def command(repository: Path, model: str, log: Path, *, everything: bool = False) -> Command:
    """A server of this environment that loads ``model`` of a repository, or all of it."""
    wanted = "*" if everything else model
    return own_server.command(
        repository, model, log, "--model-control-mode", "explicit", "--load-model", wanted
    )
