"""Errors within a stream: messages by default, a status for who asks for it."""

import queue
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import SECONDS, Client, floats, refused, request
from support.server import Server


def good(each: int) -> pb.ModelInferRequest:
    return request("scale", id_=f"good {each}", x=floats(1, 4))


BAD = {
    "unknown model": request("absent", id_="bad", x=floats(1, 4)),
    "unknown input": request("scale", id_="bad", z=floats(1, 4)),
    "batch too large": request("scale", id_="bad", x=floats(1000, 1)),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_an_error_carries_the_request_s_id_and_the_stream_survives(
    client: Client, bad: pb.ModelInferRequest
) -> None:
    stream = client.stream([good(0), bad, good(1)])
    answers = list(stream)
    assert [answer.infer_response.id for answer in answers] == ["good 0", "bad", "good 1"]
    assert [bool(answer.error_message) for answer in answers] == [False, True, False]
    assert stream.code() == grpc.StatusCode.OK


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_code_and_message_are_those_of_the_unary_call(client: Client, bad: pb.ModelInferRequest) -> None:
    right, wrong = client.stream([good(0), bad])
    assert "grpc_status" not in right.infer_response.parameters
    with pytest.raises(grpc.RpcError) as caught:
        client.infer(bad)
    code = wrong.infer_response.parameters["grpc_status"].int64_param
    assert (code, wrong.error_message) == (caught.value.code().value[0], caught.value.details())


@pytest.mark.parametrize(
    ("headers", "status"), [({}, None), ({"triton_grpc_error": "true"}, "StatusCode.NOT_FOUND")]
)
def test_tritonclient_is_told_as_ever(zoo: Server, headers: dict[str, str], status: str | None) -> None:
    """It drops all but the message: who wants the code from it asks for the status."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    x = tritonclient.grpc.InferInput("x", [1, 4], "FP32").set_data_from_numpy(np.zeros((1, 4), np.float32))
    with tritonclient.grpc.InferenceServerClient(zoo.target) as client:
        client.start_stream(lambda result, error: answers.put((result, error)), headers=headers)
        client.async_stream_infer("scale", [x], request_id="good")
        client.async_stream_infer("absent", [x])
        result, error = answers.get(timeout=SECONDS)
        assert (result.get_response().id, error) == ("good", None)
        result, error = answers.get(timeout=SECONDS)
        assert (result, error.status()) == (None, status)
        assert "Request for unknown model: 'absent' is not found" in error.message()
        client.stop_stream()


def test_triton_grpc_error_turns_an_error_into_the_status(client: Client) -> None:
    stream = client.stream([good(0), BAD["unknown model"], good(1)], triton_grpc_error="true")
    assert next(stream).infer_response.id == "good 0"
    with refused(grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'absent' is not found"):
        next(stream)


def test_triton_grpc_error_false_changes_nothing(client: Client) -> None:
    stream = client.stream([BAD["unknown model"]], triton_grpc_error="false")
    (answer,) = stream
    assert "'absent' is not found" in answer.error_message
    assert stream.code() == grpc.StatusCode.OK


def test_a_stream_of_errors_alone_ends_in_order(client: Client) -> None:
    stream = client.stream([request("absent", id_=str(each), x=floats(1, 4)) for each in range(300)])
    assert [answer.infer_response.id for answer in stream] == [str(each) for each in range(300)]
    assert stream.code() == grpc.StatusCode.OK
