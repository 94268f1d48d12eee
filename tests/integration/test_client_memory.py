"""Who may have tensors in shared memory: by default clients on the server's machine, and no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, refused, request
from support.namespaces import SERVER_ADDRESS, Machine, two_machines
from support.repository import Repository
from support.rest import HTTP, Rest
from support.server import Server, serving
from support.shared_memory import Memory, memory

UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED
FAR = "Client shared memory is disabled for clients that are not on this machine."
HOW = "Start the server with '--allow-client-shm' to enable."

CUDA_HANDLE = bytes(64)


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    with two_machines() as machines:
        yield machines


@dataclass(frozen=True)
class Place:
    """Where clients can be: each has a connection of both kinds."""

    server: Server
    socket: Path
    here: Machine
    away: Machine

    @contextmanager
    def loopback(self) -> Iterator[tuple[Client, Rest]]:
        """By loopback, through the relay: whoever is behind a proxy on the server's machine gets as much."""
        with self._connect(self.here, "127.0.0.1") as clients:
            yield clients

    @contextmanager
    def far(self) -> Iterator[tuple[Client, Rest]]:
        """On another machine."""
        with self._connect(self.away, SERVER_ADDRESS) as clients:
            yield clients

    @contextmanager
    def _connect(self, machine: Machine, host: str) -> Iterator[tuple[Client, Rest]]:
        with (
            machine.relay(host, self.server.port) as grpc_port,
            machine.relay(host, self.server.http_port) as http_port,
            Client(f"127.0.0.1:{grpc_port}") as client,
            Rest(http_port) as rest,
        ):
            yield client, rest


@contextmanager
def place(machines: tuple[Machine, Machine], directory: Path, *options: str) -> Iterator[Place]:
    here, away = machines
    repository = Repository.make(directory / "repository")
    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")))
    socket = directory / "grpc.sock"
    listen = ("--grpc-address", "0.0.0.0", "--grpc-port", "0", "--grpc-socket", socket)
    http = ["0.0.0.0" if it == "127.0.0.1" else it for it in HTTP]
    with serving(repository.root, *listen, *http, *options, within=here.within) as server:
        yield Place(server, socket, here, away)


@pytest.fixture(scope="module")
def default(machines: tuple[Machine, Machine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(machines, tmp_path_factory.mktemp("default")) as made:
        yield made


def register(client: Client, shared: Memory, name: str = "r") -> None:
    message = pb.SystemSharedMemoryRegisterRequest(name=name, key=shared.key, byte_size=64)
    client.inference.SystemSharedMemoryRegister(message, timeout=SECONDS)


def unregister(client: Client) -> None:
    client.inference.SystemSharedMemoryUnregister(pb.SystemSharedMemoryUnregisterRequest(), timeout=SECONDS)


def regions(client: Client) -> list[str]:
    status = client.inference.SystemSharedMemoryStatus(pb.SystemSharedMemoryStatusRequest(), timeout=SECONDS)
    return sorted(status.regions)


def extensions(client: Client) -> list[str]:
    return list(client.inference.ServerMetadata(pb.ServerMetadataRequest(), timeout=SECONDS).extensions)


def lies(tensor: Any, offset: int) -> None:
    tensor.parameters["shared_memory_region"].string_param = "r"
    tensor.parameters["shared_memory_byte_size"].int64_param = 16
    tensor.parameters["shared_memory_offset"].int64_param = offset


def reads() -> pb.ModelInferRequest:
    """An inference of what lies at the region's start."""
    message = pb.ModelInferRequest(model_name="wide")
    lies(message.inputs.add(name="x", datatype="FP32", shape=[1, 4]), 0)
    return message


def writes() -> pb.ModelInferRequest:
    """One whose output would lie behind that."""
    message = request("wide", x=floats(1, 4, start=100))
    lies(message.outputs.add(name="y"), 16)
    return message


def test_a_client_elsewhere_can_register_nothing(default: Place) -> None:
    cuda = pb.CudaSharedMemoryRegisterRequest(name="g", raw_handle=CUDA_HANDLE, byte_size=64)
    with memory(64) as shared, default.far() as (client, rest):
        with refused(UNIMPLEMENTED, FAR, HOW):
            register(client, shared)
        with refused(UNIMPLEMENTED, FAR, HOW):
            client.inference.CudaSharedMemoryRegister(cuda, timeout=SECONDS)
        system = rest.post("/v2/systemsharedmemory/region/r/register", {"key": shared.key, "byte_size": 64})
        assert (system.status, system.error) == (501, f"{FAR} {HOW}")
        handle = {"raw_handle": {"b64": "A" * 86 + "=="}, "device_id": 0, "byte_size": 64}
        gpu = rest.post("/v2/cudasharedmemory/region/g/register", handle)
        assert (gpu.status, gpu.error) == (501, f"{FAR} {HOW}")
        # It is told so before it tries, and is served otherwise.
        assert not {"system_shared_memory", "cuda_shared_memory"} & set(extensions(client))
        assert outputs(client.infer(request("wide", x=floats(1, 2))))["y"].tolist() == [[0, 1]]
    with default.loopback() as (client, _):
        assert regions(client) == []


def test_clients_on_the_machine_need_no_flag(default: Place) -> None:
    with memory(64) as shared, default.loopback() as (client, rest), Client(f"unix:{default.socket}") as unix:
        for each in (client, unix):
            shared.put(floats(1, 4))
            register(each, shared)
            assert "system_shared_memory" in extensions(each)
            assert outputs(each.infer(reads()))["y"].tolist() == [[0, 1, 2, 3]]
            unregister(each)
        body = {"key": shared.key, "byte_size": 64}
        assert rest.post("/v2/systemsharedmemory/region/r/register", body).status == 200
        assert regions(client) == ["r"]
        assert rest.post("/v2/systemsharedmemory/region/r/unregister").status == 200


def test_what_a_client_here_registers_is_not_for_one_elsewhere(default: Place) -> None:
    """Else it could read and write the memory of others, by a name that it need only guess."""
    with (
        memory(64) as shared,
        default.loopback() as (owner, _),
        default.far() as (stranger, rest),
    ):
        shared.put(floats(1, 4))
        register(owner, shared)
        for message in (reads(), writes()):
            with refused(UNIMPLEMENTED, FAR, HOW):
                stranger.infer(message)
            (answer,) = stranger.stream([message])
            assert answer.error_message == f"{FAR} {HOW}"
        parameters = {"shared_memory_region": "r", "shared_memory_byte_size": 16}
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "parameters": parameters}
        answer = rest.post("/v2/models/wide/infer", {"inputs": [tensor]})
        assert (answer.status, answer.error) == (501, f"{FAR} {HOW}")
        assert shared.file.read_bytes()[16:] == bytes(48)
        # Nor can it see that there is one, or take it away.
        assert regions(stranger) == []
        assert rest.get("/v2/systemsharedmemory/status").json == []
        with refused(UNIMPLEMENTED, FAR):
            unregister(stranger)
        assert rest.post("/v2/systemsharedmemory/unregister").status == 501
        assert outputs(owner.infer(reads()))["y"].tolist() == [[0, 1, 2, 3]]
        unregister(owner)


def test_the_flag_allows_it_to_everybody(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    with (
        place(machines, tmp_path, "--allow-client-shm") as made,
        memory(64) as shared,
        made.far() as (client, rest),
    ):
        shared.put(floats(1, 4))
        register(client, shared)
        assert "system_shared_memory" in extensions(client)
        assert outputs(client.infer(reads()))["y"].tolist() == [[0, 1, 2, 3]]
        assert [it["name"] for it in rest.get("/v2/systemsharedmemory/status").json] == ["r"]
        unregister(client)
