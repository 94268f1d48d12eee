"""Messages that are no messages: every method answers with the caller's fault, never its own."""

import random
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import SECONDS, Client, floats, request, status
from support.server import Server

INFERENCE = "/inference.GRPCInferenceService/"
METHODS = [
    *(
        f"{INFERENCE}{method.name}"
        for method in pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods
    ),
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
]

#: What a request can be blamed for. Anything else would blame the server.
CALLERS_FAULT = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
}


def call(client: Client, path: str, message: bytes) -> tuple[grpc.StatusCode, str]:
    """Send bytes as they are, to whatever kind of method."""
    method: Any = client.channel.stream_stream(path)
    answers = method(iter([message]), timeout=SECONDS)
    try:
        first = next(iter(answers), None)
        if first is not None and path.endswith("/Watch"):
            # It would go on for as long as somebody listens.
            answers.cancel()
            return grpc.StatusCode.OK, ""
        for _ in answers:
            pass
    except grpc.RpcError as error:
        return status(error)
    return grpc.StatusCode.OK, ""


def whole() -> pb.ModelInferRequest:
    message = request("add", id_="id", version="1", a=floats(1, 16), b=floats(1, 16))
    message.parameters["key"].string_param = "value"
    message.outputs.add(name="sum")
    return message


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """Valid requests with a few bytes changed, taken out, put in or repeated."""
    chance = random.Random(seed)
    for _ in range(count):
        content = bytearray(whole().SerializeToString())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(content))
            match chance.randrange(4):
                case 0:
                    content[at] = chance.randrange(256)
                case 1:
                    del content[at : at + chance.randint(1, 8)]
                case 2:
                    content[at:at] = chance.randbytes(chance.randint(1, 8))
                case _:
                    content[at:at] = content[at : at + chance.randint(1, 32)]
        yield bytes(content)


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.rsplit("/", 1)[1])
def test_random_bytes_to_every_method(bystander: Client, path: str) -> None:
    chance = random.Random(path)
    for _ in range(60):
        code, message = call(bystander, path, chance.randbytes(chance.randint(1, 200)))
        unavailable = code == grpc.StatusCode.UNAVAILABLE and "not allowed" in message
        assert code in CALLERS_FAULT or unavailable, (code, message)


def test_every_truncation_of_a_request(bystander: Client) -> None:
    content = whole().SerializeToString()
    for end in range(len(content)):
        code, message = call(bystander, f"{INFERENCE}ModelInfer", content[:end])
        assert code in CALLERS_FAULT - {grpc.StatusCode.OK}, (end, code, message)


@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_requests(bystander: Client, seed: int) -> None:
    for content in mutations(seed, 1500):
        code, message = call(bystander, f"{INFERENCE}ModelInfer", content)
        assert code in CALLERS_FAULT, (content, code, message)


@pytest.mark.parametrize("seed", [3])
def test_a_stream_of_mutated_requests_stays_open(bystander: Client, seed: int) -> None:
    contents = list(mutations(seed, 1000))
    method: Any = bystander.channel.stream_stream(f"{INFERENCE}ModelStreamInfer")
    answers = method(iter([*contents, whole().SerializeToString()]), timeout=SECONDS)
    received = [pb.ModelStreamInferResponse.FromString(answer) for answer in answers]
    assert len(received) == len(contents) + 1
    assert received[-1].error_message == ""


def test_a_stream_of_garbage_messages_stays_open(bystander: Client) -> None:
    chance = random.Random(4)
    contents = [chance.randbytes(chance.randint(1, 500)) for _ in range(500)]
    method: Any = bystander.channel.stream_stream(f"{INFERENCE}ModelStreamInfer")
    answers = [
        pb.ModelStreamInferResponse.FromString(answer) for answer in method(iter(contents), timeout=SECONDS)
    ]
    assert len(answers) == 500
    assert all(answer.error_message for answer in answers)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("group without end", b"\x0b" * 5_000),
        ("group in group", b"\x0b" * 50_000 + b"\x0c" * 50_000),
        ("length beyond the end", b"\x0a\xff\xff\xff\xff\x0f"),
        ("length of 64 bits", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ("varint without end", b"\x18" + b"\xff" * 20),
        ("field zero", b"\x00\x00"),
        ("wire type 7", b"\x0f"),
        ("name that is no text", b"\x0a\x02\xff\xfe"),
        ("string where a message is", b"\x2a\x03abc"),
    ],
)
def test_malformed_in_a_way_that_has_a_name(bystander: Client, name: str, content: bytes) -> None:
    code, message = call(bystander, f"{INFERENCE}ModelInfer", content)
    assert code == grpc.StatusCode.INVALID_ARGUMENT, (name, message)
    assert message


def test_shapes_whose_product_overflows(bystander: Client) -> None:
    for shape in ([1, 2**62], [8, 2**61], [1, 2**63 - 1], [64, 2**58]):
        message = request("scale", x=np.zeros((1, 1), np.float32))
        message.inputs[0].shape[:] = shape
        code, text = call(bystander, f"{INFERENCE}ModelInfer", message.SerializeToString())
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert "byte size mismatch" in text


@pytest.mark.parametrize("count", [2**31, 2**62, 2**63 - 1])
def test_text_whose_count_is_absurd(bystander: Client, target: Server, count: int) -> None:
    before = target.resident_bytes()
    message = request("text", x=np.array([[b"a"]], dtype=object))
    message.inputs[0].shape[:] = [1, count]
    code, _ = call(bystander, f"{INFERENCE}ModelInfer", message.SerializeToString())
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert target.resident_bytes() - before < 64 << 20


def test_many_inputs(bystander: Client) -> None:
    message = pb.ModelInferRequest(model_name="scale")
    for each in range(3_000):
        message.inputs.add(name=f"x{each}", datatype="FP32", shape=[1, 1])
    code, text = call(bystander, f"{INFERENCE}ModelInfer", message.SerializeToString())
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    # An error is read by people, and travels in a header that clients bound at 8 KB or so.
    assert len(text) < 4_096
