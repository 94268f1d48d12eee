"""Tensors in the system's shared memory: registered, read, written and let go, through every client."""

from typing import Any

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models, python_models
from support.client import SECONDS, Client, floats, refused, request, to_raw
from support.gate import Gate
from support.onnx_models import DATATYPES
from support.repository import Repository
from support.rest import Rest
from support.server import Serve, Server
from support.shared_memory import memory, open_objects
from support.triton_clients import KINDS, Triton, triton
from tritonclient.utils import InferenceServerException

SIZE = 2 * 16 * 4


def in_region(tensor: Any, region: str, size: int, offset: int = 0) -> Any:
    tensor.set_shared_memory(region, size, offset)
    return tensor


def register(client: Client, name: str, key: str, byte_size: int, offset: int = 0) -> None:
    message = pb.SystemSharedMemoryRegisterRequest(name=name, key=key, byte_size=byte_size, offset=offset)
    client.inference.SystemSharedMemoryRegister(message, timeout=SECONDS)


def unregister(client: Client, name: str = "") -> None:
    message = pb.SystemSharedMemoryUnregisterRequest(name=name)
    client.inference.SystemSharedMemoryUnregister(message, timeout=SECONDS)


def lie(tensor: Any, region: str, size: int, offset: int = 0) -> None:
    """The parameters of a tensor that lies in a region."""
    tensor.parameters["shared_memory_region"].string_param = region
    tensor.parameters["shared_memory_byte_size"].int64_param = size
    if offset:
        tensor.parameters["shared_memory_offset"].int64_param = offset


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_and_outputs(zoo: Server, kind: str) -> None:
    a, b = floats(2, 16), floats(2, 16, start=100)
    with memory(4 * SIZE) as shared, triton(kind, zoo) as client:
        shared.put(b, offset=SIZE)
        # The region begins within the object, at no page's edge.
        client.call("register_system_shared_memory", "r", shared.key, 3 * SIZE, offset=SIZE)
        inputs = [client.input("a", [2, 16], "FP32").set_data_from_numpy(a)]
        inputs.append(in_region(client.input("b", [2, 16], "FP32"), "r", SIZE))
        wanted = in_region(client.output("sum"), "r", SIZE + 8, SIZE)
        answer = client.call("infer", "add", inputs, outputs=[wanted])
        assert np.array_equal(shared.get(np.float32, (2, 16), offset=2 * SIZE), a + b)
        described = answer.get_output("sum")
        name = described["name"] if client.is_http else described.name
        shape = described["shape"] if client.is_http else described.shape
        assert (name, list(shape)) == ("sum", [2, 16])
        # Not in the answer, too.
        if not client.is_http:
            assert list(answer.get_response().raw_output_contents) == [b""]
        # The other way round: raw contents skip the input in shared memory, wherever it stands.
        answer = client.call("infer", "add", inputs[::-1])
        assert np.array_equal(answer.as_numpy("sum"), a + b)
        client.call("unregister_system_shared_memory", "r")


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype(zoo: Server, datatype: str) -> None:
    if datatype == "BYTES":
        raw = to_raw(np.array([b"", b"plain", b"\xff", b"x" * 1000], dtype=object))
    else:
        raw = bytes([0, 1] * (2 * np.dtype(DATATYPES[datatype][1]).itemsize))
    with memory(2 * len(raw)) as shared, Client(zoo.target) as client:
        shared.file.write_bytes(raw + bytes(len(raw)))
        register(client, "r", "/" + shared.key, 2 * len(raw))
        message = pb.ModelInferRequest(model_name=f"identity_{datatype.lower()}")
        lie(message.inputs.add(name="x", datatype=datatype, shape=[1, 4]), "r", len(raw))
        lie(message.outputs.add(name="y"), "r", len(raw), len(raw))
        assert client.infer(message).raw_output_contents == [b""]
        assert shared.file.read_bytes() == raw + raw
        unregister(client)


def test_within_a_stream(client: Client) -> None:
    with memory(64) as shared:
        shared.put(floats(1, 4))
        register(client, "r", shared.key, 64)
        message = pb.ModelInferRequest(model_name="scale")
        lie(message.inputs.add(name="x", datatype="FP32", shape=[1, 4]), "r", 16)
        lie(message.outputs.add(name="y"), "r", 16, 16)
        wrong = pb.ModelInferRequest(model_name="scale", id="wrong")
        lie(wrong.inputs.add(name="x", datatype="FP32", shape=[1, 4]), "absent", 16)
        right, refusal = client.stream([message, wrong])
        assert right.error_message == ""
        assert np.array_equal(shared.get(np.float32, (1, 4), offset=16), 3 * floats(1, 4))
        assert refusal.error_message == "Unable to find shared memory region: 'absent'"
        unregister(client)


@pytest.mark.parametrize("kind", KINDS)
def test_regions_come_and_go(zoo: Server, kind: str) -> None:
    with memory(64) as shared, triton(kind, zoo) as client:
        client.call("register_system_shared_memory", "one", shared.key, 64)
        client.call("register_system_shared_memory", "two 2", shared.key, 16, offset=32)
        one, two = {"one": (shared.key, 0, 64)}, {"two 2": (shared.key, 32, 16)}
        assert client.regions() == one | two
        assert region_status(client, "two 2") == 1
        with pytest.raises(InferenceServerException, match="shared memory region 'one' already in manager"):
            client.call("register_system_shared_memory", "one", shared.key, 64)
        with pytest.raises(InferenceServerException, match="Unable to find system shared memory region: 'x'"):
            region_status(client, "x")
        with pytest.raises(InferenceServerException, match="registered as system shared memory, not CUDA"):
            client.call("get_cuda_shared_memory_status", "one")
        # What is unknown, or of another kind, is as good as forgotten.
        client.call("unregister_system_shared_memory", "x")
        client.call("unregister_cuda_shared_memory", "one")
        client.call("unregister_cuda_shared_memory")
        client.call("unregister_system_shared_memory", "one")
        assert client.regions() == two
        client.call("unregister_system_shared_memory")
        assert client.regions() == {}
        assert open_objects(zoo.pid) == []


def region_status(client: Triton, name: str) -> int:
    """How many regions are shown where one is asked for."""
    found = client.call("get_system_shared_memory_status", name)
    return len(found if client.is_http else found.regions)


def test_an_output_that_does_not_fit_is_not_written(serve: Serve, repository: Repository) -> None:
    repository.python("two", python_models.TWO_OUTPUTS)
    server = serve()
    server.wait_ready()
    with memory(64) as shared, Client(server.target) as client:
        register(client, "r", shared.key, 64)
        message = request("two", x=np.array([[5]], np.int32))
        lie(message.outputs.add(name="y"), "r", 4)
        lie(message.outputs.add(name="z"), "r", 3, 8)
        with refused(
            grpc.StatusCode.INTERNAL,
            "shared memory size specified with the request for output 'z' (3 bytes)",
            "should be at least 4 bytes to hold the results",
        ):
            client.infer(message)
        assert shared.file.read_bytes() == bytes(64)
        lie(message.outputs[1], "r", 4, 8)
        client.infer(message)
        assert shared.get(np.int32, (3,)).tolist() == [5, 0, -5]


def test_a_region_in_use_is_let_go_later(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("gated", python_models.GATED, config=gate.config)
    server = serve()
    server.wait_ready()
    with memory(16) as shared, Client(server.target) as client:
        register(client, "r", shared.key, 16)
        message = request("gated", x=np.array([[7]], np.int32))
        lie(message.outputs.add(name="y"), "r", 4)
        call = client.start(message)
        gate.next_batch()
        unregister(client, "r")
        assert open_objects(server.pid) == [str(shared.file)]
        with refused(grpc.StatusCode.NOT_FOUND, "Unable to find shared memory region: 'r'"):
            client.infer(message)
        # The name is free at once.
        register(client, "r", shared.key, 8)
        gate.let()
        call.result()
        assert shared.get(np.int32, (1,)).tolist() == [7]
        unregister(client)
        assert open_objects(server.pid) == []
    gate.open()


def test_it_can_be_forbidden(serve: Serve, repository: Repository) -> None:
    repository.onnx("identity", onnx_models.identity())
    server = serve("--no-allow-client-shm", "--http-address", "127.0.0.1", "--http-port", "0")
    server.wait_ready()
    with memory(16) as shared, Client(server.target) as client, Rest(server.http_port) as rest:
        with refused(grpc.StatusCode.UNIMPLEMENTED, "Client shared memory is disabled"):
            register(client, "r", shared.key, 16)
        with refused(grpc.StatusCode.UNIMPLEMENTED, "Client shared memory is disabled"):
            unregister(client)
        message = pb.ModelInferRequest(model_name="identity")
        lie(message.inputs.add(name="x", datatype="FP32", shape=[1, 4]), "r", 16)
        with refused(grpc.StatusCode.UNIMPLEMENTED, "Client shared memory is disabled"):
            client.infer(message)
        assert rest.post("/v2/systemsharedmemory/unregister").status == 501
        assert rest.get("/v2/systemsharedmemory/status").json == []
        assert "system_shared_memory" not in rest.get("/v2").json["extensions"]
