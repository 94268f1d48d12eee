"""Shared memory from clients that are wrong, huge or hostile: a clear refusal, and a server that lives on."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import SECONDS, Client, floats, outputs, refused, request
from support.rest import Rest
from support.server import Server
from support.shared_memory import DIRECTORY, Memory, fresh_key, memory, open_objects

INVALID = grpc.StatusCode.INVALID_ARGUMENT
INTERNAL = grpc.StatusCode.INTERNAL
NOT_FOUND = grpc.StatusCode.NOT_FOUND

REGION, SIZE, OFFSET = "shared_memory_region", "shared_memory_byte_size", "shared_memory_offset"
LARGEST = 2**63 - 1


@pytest.fixture
def shared(client: Client) -> Iterator[Memory]:
    """An object of 64 bytes, registered as "r"."""
    with memory(64) as shared:
        register(client, name="r", key=shared.key, byte_size=64)
        yield shared
        client.inference.SystemSharedMemoryUnregister(
            pb.SystemSharedMemoryUnregisterRequest(), timeout=SECONDS
        )


def register(client: Client, **fields: Any) -> None:
    message = pb.SystemSharedMemoryRegisterRequest(**fields)
    client.inference.SystemSharedMemoryRegister(message, timeout=SECONDS)


def put(parameters: Any, values: dict[str, object]) -> None:
    for key, value in values.items():
        kind = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}[
            type(value)
        ]
        setattr(parameters[key], kind, value)


def still_answers(client: Client) -> None:
    assert outputs(client.infer(request("identity_fp32", x=floats(1, 4))))["y"].tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    "key",
    ["", "/", "absent", "a/b", "../../etc/passwd", "/../shm/x", ".", "..", "x" * 300, "a\0b", "\u2603"],
)
def test_a_key_that_names_nothing(client: Client, key: str) -> None:
    with refused(INTERNAL, "Unable to open shared memory region: '"):
        register(client, name="r", key=key, byte_size=8)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "socket"])
def test_what_is_no_shared_memory_is_not_opened(client: Client, tmp_path: Path, kind: str) -> None:
    """Whoever may create files beside shared memory must not make the server open others, or wait."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(64))
    path = DIRECTORY / fresh_key()
    try:
        if kind == "link":
            path.symlink_to(secret)
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            os.mknod(path, 0o140600)
        with refused(INTERNAL, "shared memory region: '"):
            register(client, name="r", key=path.name, byte_size=8)
    finally:
        path.rmdir() if kind == "folder" else path.unlink()


@pytest.mark.parametrize(
    ("offset", "byte_size"),
    [(0, 0), (0, 65), (64, 1), (2**63, 2**63), (2**64 - 1, 2), (1, 2**64 - 1), (64, 0)],
)
def test_a_region_beyond_its_object(client: Client, offset: int, byte_size: int) -> None:
    with memory(64) as shared, refused(INVALID, "failed to register shared memory region 'r': invalid args"):
        register(client, name="r", key=shared.key, offset=offset, byte_size=byte_size)


def test_a_region_without_a_name(client: Client) -> None:
    with memory(64) as shared, refused(INVALID, "'region name' is necessary to register"):
        register(client, key=shared.key, byte_size=64)


def test_regions_have_a_limit(client: Client, zoo: Server) -> None:
    """Each holds a file of the server's open, and connections need some, too."""
    with memory(64) as shared:
        for each in range(512):
            register(client, name=str(each), key=shared.key, byte_size=64)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "one too many"):
            register(client, name="more", key=shared.key, byte_size=64)
        with Client(zoo.target) as other:
            still_answers(other)
        client.inference.SystemSharedMemoryUnregister(
            pb.SystemSharedMemoryUnregisterRequest(), timeout=SECONDS
        )
    assert open_objects(zoo.pid) == []


TENSORS = [
    ({REGION: "absent", SIZE: 16}, NOT_FOUND, "Unable to find shared memory region: 'absent'"),
    ({REGION: "", SIZE: 16}, NOT_FOUND, "Unable to find shared memory region: ''"),
    ({REGION: "r"}, INVALID, f"'{SIZE}' must be specified along with '{REGION}' parameter for tensor '"),
    ({SIZE: 16}, INVALID, f"'{SIZE}' can not be specified without '{REGION}' parameter for tensor '"),
    ({OFFSET: 16}, INVALID, f"'{OFFSET}' can not be specified without '{REGION}' parameter for tensor '"),
    ({REGION: 7, SIZE: 16}, INVALID, f"invalid value type for '{REGION}' parameter for tensor '"),
    ({REGION: "r", SIZE: "16"}, INVALID, f"invalid value type for '{SIZE}' parameter for tensor '"),
    ({REGION: "r", SIZE: 16.0}, INVALID, f"invalid value type for '{SIZE}' parameter for tensor '"),
    (
        {REGION: "r", SIZE: 16, OFFSET: True},
        INVALID,
        f"invalid value type for '{OFFSET}' parameter for tensor '",
    ),
    ({REGION: "r", SIZE: 16, OFFSET: 64}, INVALID, "Invalid offset for shared memory region: 'r'"),
    ({REGION: "r", SIZE: 16, OFFSET: -1}, INVALID, "Invalid offset for shared memory region: 'r'"),
    ({REGION: "r", SIZE: 16, OFFSET: LARGEST}, INVALID, "Invalid offset for shared memory region: 'r'"),
    (
        {REGION: "r", SIZE: 16, OFFSET: 60},
        INVALID,
        "Invalid offset + byte size for shared memory region: 'r'",
    ),
    ({REGION: "r", SIZE: -16}, INVALID, "Invalid offset + byte size for shared memory region: 'r'"),
    ({REGION: "r", SIZE: LARGEST}, INVALID, "Invalid offset + byte size for shared memory region: 'r'"),
    ({REGION: "r", SIZE: LARGEST, OFFSET: 1}, INVALID, "Invalid offset + byte size for shared memory region"),
]


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(("parameters", "code", "message"), TENSORS)
def test_a_tensor_that_lies_nowhere(
    client: Client, parameters: dict[str, object], code: grpc.StatusCode, message: str
) -> None:
    as_input = request("identity_fp32", x=floats(1, 4))
    put(as_input.inputs[0].parameters, parameters)
    if REGION in parameters:
        del as_input.raw_input_contents[:]
    with refused(code, message):
        client.infer(as_input)
    as_output = request("identity_fp32", x=floats(1, 4))
    put(as_output.outputs.add(name="y").parameters, parameters)
    with refused(code, message):
        client.infer(as_output)
    still_answers(client)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(("parameters", "code", "message"), TENSORS)
def test_over_http_the_message_is_the_same(
    rest: Rest, parameters: dict[str, object], code: grpc.StatusCode, message: str
) -> None:
    tensor: dict[str, object] = {"name": "x", "datatype": "FP32", "shape": [1, 4]}
    wanted = {"name": "y", "parameters": parameters}
    answer = rest.post(
        "/v2/models/identity_fp32/infer", {"inputs": [tensor | {"data": [0, 1, 2, 3]}], "outputs": [wanted]}
    )
    assert message in answer.error
    assert answer.status == (404 if code is NOT_FOUND else 400)


@pytest.mark.usefixtures("shared")
def test_an_input_is_in_one_place(client: Client, rest: Rest) -> None:
    lies = {REGION: "r", SIZE: 16}
    twice = request("identity_fp32", x=floats(1, 4))
    put(twice.inputs[0].parameters, lies)
    with refused(INVALID, "expected 0 entries of raw_input_contents", "got 1"):
        client.infer(twice)
    del twice.raw_input_contents[:]
    twice.inputs[0].contents.fp32_contents.extend([0.0] * 4)
    with refused(INVALID, "unexpected 'content' provided when using shared memory for input tensor 'x'"):
        client.infer(twice)
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "parameters": lies, "data": [0, 1, 2, 3]}
    answer = rest.post("/v2/models/identity_fp32/infer", {"inputs": [tensor]})
    assert (answer.status, "But set 'data' 'shared_memory_region'" in answer.error) == (400, True)


@pytest.mark.usefixtures("shared")
def test_an_output_is_in_one_form(client: Client, rest: Rest) -> None:
    lies = {REGION: "r", SIZE: 16}
    both = request("identity_fp32", x=floats(1, 4))
    put(both.outputs.add(name="y").parameters, lies | {"classification": 2})
    with refused(INVALID, "output can't set both 'shared_memory_region' and 'classification'"):
        client.infer(both)
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0, 1, 2, 3]}
    refusals: list[tuple[dict[str, object], str]] = [
        ({"classification": 2}, "output can't set both 'shared_memory_region' and 'classification'"),
        ({"binary_data": True}, "Output can't set both 'shared_memory_region' and 'binary_data'"),
    ]
    for more, message in refusals:
        wanted = {"name": "y", "parameters": lies | more}
        answer = rest.post("/v2/models/identity_fp32/infer", {"inputs": [tensor], "outputs": [wanted]})
        assert (answer.status, answer.error) == (400, message)


def test_an_object_that_is_cut_short_later(client: Client, shared: Memory) -> None:
    """Memory that is mapped would end the server here, with SIGBUS."""
    lies = {REGION: "r", SIZE: 16, OFFSET: 32}
    as_input = pb.ModelInferRequest(model_name="identity_fp32")
    put(as_input.inputs.add(name="x", datatype="FP32", shape=[1, 4]).parameters, lies)
    as_output = request("identity_fp32", x=floats(1, 4))
    put(as_output.outputs.add(name="y").parameters, lies)
    for length in (40, 0):
        os.truncate(shared.file, length)
        for message in (as_input, as_output):
            with refused(
                INVALID, f"the shared memory object '{shared.key}' has become shorter than its region"
            ):
                client.infer(message)
        # Nothing that was written has made it longer again.
        assert shared.file.stat().st_size == length
    os.truncate(shared.file, 64)
    assert outputs(client.infer(as_input))["y"].tolist() == [[0, 0, 0, 0]]


def test_an_object_that_is_gone_stays_readable(client: Client, shared: Memory) -> None:
    shared.put(floats(1, 4))
    shared.file.rename(shared.file.with_name(other := fresh_key()))
    try:
        message = pb.ModelInferRequest(model_name="identity_fp32")
        put(message.inputs.add(name="x", datatype="FP32", shape=[1, 4]).parameters, {REGION: "r", SIZE: 16})
        assert outputs(client.infer(message))["y"].tolist() == [[0, 1, 2, 3]]
    finally:
        (DIRECTORY / other).rename(shared.file)


@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
def test_a_huge_object_costs_no_memory(zoo: Server, client: Client, datatype: str) -> None:
    """An object without pages is free for its client; what it stands for would not be free for the server."""
    size = 1 << 40
    with memory(64) as shared:
        os.truncate(shared.file, size)
        register(client, name="r", key=shared.key, byte_size=size)
        before = zoo.resident_bytes()
        name = "wide" if datatype == "FP32" else "identity_bytes"
        shape = [1, size // 4] if datatype == "FP32" else [1, 4]
        message = pb.ModelInferRequest(model_name=name)
        put(
            message.inputs.add(name="x", datatype=datatype, shape=shape).parameters, {REGION: "r", SIZE: size}
        )
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, str(size)):
            client.infer(message)
        assert zoo.resident_bytes() - before < 64 << 20
        client.inference.SystemSharedMemoryUnregister(
            pb.SystemSharedMemoryUnregisterRequest(), timeout=SECONDS
        )


def test_text_that_does_not_fit_its_window(client: Client, shared: Memory) -> None:
    shared.file.write_bytes(b"\xff\xff\xff\xff" + bytes(60))
    message = pb.ModelInferRequest(model_name="identity_bytes")
    put(message.inputs.add(name="x", datatype="BYTES", shape=[1, 4]).parameters, {REGION: "r", SIZE: 16})
    with refused(INVALID, "incomplete string data for inference input 'x'"):
        client.infer(message)
    shared.file.write_bytes(bytes(64))
    assert outputs(client.infer(message))["y"].tolist() == [[b"", b"", b"", b""]]


def test_no_region_is_forgotten_and_no_file_stays_open(client: Client, zoo: Server) -> None:
    with memory(64) as shared:
        for _ in range(200):
            register(client, name="r", key=shared.key, byte_size=64)
            with refused(grpc.StatusCode.ALREADY_EXISTS, "shared memory region 'r' already in manager"):
                register(client, name="r", key=shared.key, byte_size=64)
            client.inference.SystemSharedMemoryUnregister(
                pb.SystemSharedMemoryUnregisterRequest(name="r"), timeout=SECONDS
            )
    assert open_objects(zoo.pid) == []


def test_a_window_may_be_input_and_output(client: Client, shared: Memory) -> None:
    message = pb.ModelInferRequest(model_name="scale")
    put(message.inputs.add(name="x", datatype="FP32", shape=[1, 4]).parameters, {REGION: "r", SIZE: 16})
    put(message.outputs.add(name="y").parameters, {REGION: "r", SIZE: 16})
    shared.put(floats(1, 4))
    client.infer(message)
    assert shared.get(np.float32, (4,)).tolist() == [0, 3, 6, 9]
