"""GPU memory that clients share: refused where there is no device, else used through CUDA's driver.

The driver of these tests is ``support/fake_cuda.c``: it holds the server to the order, the contexts and the
bounds of the calls.
"""

import base64
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, refused
from support.repository import Repository
from support.rest import HTTP, Rest
from support.server import LOOPBACK, Server, serving
from support.shared_memory import Memory, memory
from support.triton_clients import KINDS, triton
from tritonclient.utils import InferenceServerException

SOURCE = Path(__file__).parents[1] / "support" / "fake_cuda.c"
INVALID = grpc.StatusCode.INVALID_ARGUMENT
DEVICE = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the driver is, and its log."""
    folder = tmp_path_factory.mktemp("cuda")
    library = folder / "libcuda.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE], check=True)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = Repository.make(tmp_path_factory.mktemp("repository"))
    repository.onnx("scale", onnx_models.scale(3.0))
    with ExitStack() as stack:
        # Only for this server: others of the same run have no device.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_LIBRARY_PATH", str(folder), prepend=":")
            patch.setenv("FAKE_CUDA_LOG", str(folder / "log"))
            options = (*LOOPBACK, *HTTP)
            server = stack.enter_context(serving(repository.root, *options))
        yield server


def handle(shared: Memory) -> bytes:
    """What stands for the object in place of a cudaIpcMemHandle_t."""
    return str(shared.file).encode().ljust(64, b"\0")


def register(client: Client, **fields: Any) -> None:
    message = pb.CudaSharedMemoryRegisterRequest(**fields)
    client.inference.CudaSharedMemoryRegister(message, timeout=SECONDS)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_and_outputs(server: Server, folder: Path, kind: str) -> None:
    log = folder / "log"
    log.write_text("")
    with memory(64) as shared, triton(kind, server) as client:
        shared.put(floats(1, 4))
        raw = base64.b64encode(handle(shared))
        client.call("register_cuda_shared_memory", "c", raw, DEVICE, 64)
        found = client.call("get_cuda_shared_memory_status", "c")
        assert str(DEVICE) in str(found)
        tensor, wanted = client.input("x", [1, 4], "FP32"), client.output("y")
        tensor.set_shared_memory("c", 16)
        wanted.set_shared_memory("c", 16, 16)
        client.call("infer", "scale", [tensor], outputs=[wanted])
        assert np.array_equal(shared.get(np.float32, (1, 4), offset=16), 3 * floats(1, 4))
        with pytest.raises(InferenceServerException, match="is registered as CUDA shared memory, not system"):
            client.call("get_system_shared_memory_status", "c")
        client.call("unregister_system_shared_memory")
        assert log.read_text().split()[-1] == "synchronize"
        client.call("unregister_cuda_shared_memory")
        assert [line for line in log.read_text().split() if line != "retain"] == [
            "open",
            "synchronize",
            "close",
        ]


def test_the_extension_is_named_where_there_is_a_device(server: Server) -> None:
    with Rest(server.http_port) as rest:
        assert "cuda_shared_memory" in rest.get("/v2").json["extensions"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"raw_handle": b"short"}, "raw_handle has 5 bytes, a cudaIpcMemHandle_t has 64"),
        ({"raw_handle": b"/absent".ljust(64, b"\0")}, "cuIpcOpenMemHandle: CUDA failure 1: invalid argument"),
        ({"device_id": 7}, "cuDeviceGet: CUDA failure 101: invalid device ordinal"),
        ({"device_id": -1}, "cuDeviceGet: CUDA failure 101: invalid device ordinal"),
        ({"device_id": 2**40}, "there is no device 1099511627776"),
        ({"byte_size": 65}, "65 bytes of an allocation of 64"),
        ({"byte_size": 0}, "0 bytes of an allocation of 64"),
        ({"byte_size": 2**64 - 1}, "18446744073709551615 bytes of an allocation of 64"),
    ],
)
def test_what_cannot_be_registered(
    client: Client, folder: Path, change: dict[str, object], message: str
) -> None:
    log = folder / "log"
    log.write_text("")
    with memory(64) as shared:
        fields = {"name": "c", "raw_handle": handle(shared), "device_id": DEVICE, "byte_size": 64, **change}
        with refused(INVALID, "failed to register shared memory region 'c': invalid args: ", message):
            register(client, **fields)
    # What was opened on the way is closed again.
    calls = log.read_text().split()
    assert calls.count("open") == calls.count("close")


def test_a_window_is_within_its_region(client: Client) -> None:
    with memory(64) as shared:
        register(client, name="c", raw_handle=handle(shared), device_id=DEVICE, byte_size=32)
        message = pb.ModelInferRequest(model_name="scale")
        tensor = message.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        tensor.parameters["shared_memory_region"].string_param = "c"
        tensor.parameters["shared_memory_byte_size"].int64_param = 16
        tensor.parameters["shared_memory_offset"].int64_param = 20
        with refused(INVALID, "Invalid offset + byte size for shared memory region: 'c'"):
            client.infer(message)
        tensor.parameters["shared_memory_offset"].int64_param = 16
        assert outputs(client.infer(message))["y"].tolist() == [[0, 0, 0, 0]]
        client.inference.CudaSharedMemoryUnregister(pb.CudaSharedMemoryUnregisterRequest(), timeout=SECONDS)


def test_without_a_device(zoo: Server) -> None:
    refusal = "failed to register CUDA shared memory region: 'c', GPUs not supported"
    with Client(zoo.target) as client:
        with refused(INVALID, refusal):
            register(client, name="c", raw_handle=bytes(64), byte_size=64)
        status = client.inference.CudaSharedMemoryStatus(pb.CudaSharedMemoryStatusRequest(), timeout=SECONDS)
        assert not status.regions
        client.inference.CudaSharedMemoryUnregister(pb.CudaSharedMemoryUnregisterRequest(), timeout=SECONDS)
    path = "/v2/cudasharedmemory/region/c/register"
    whole: dict[str, Any] = {"raw_handle": {"b64": "A" * 86 + "=="}, "device_id": 0, "byte_size": 64}
    with Rest(zoo.http_port) as rest:
        for body, message in [
            (whole, refusal),
            ({}, "Shared memory register request has no 'raw_handle' field"),
            ({**whole, "raw_handle": {"b64": "?"}}, "'raw_handle' must be a valid base64 encoded"),
            ({"raw_handle": whole["raw_handle"]}, "Shared memory register request has no 'byte_size' field"),
        ]:
            answer = rest.post(path, body)
            assert (answer.status, message in answer.error) == (400, True), answer.error
        assert "cuda_shared_memory" not in rest.get("/v2").json["extensions"]
