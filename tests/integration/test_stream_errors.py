"""Errors within a stream: messages by default, a status for who asks for it."""

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import Client, floats, refused, request


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


def test_the_message_is_that_of_the_unary_call(client: Client) -> None:
    (answer,) = client.stream([BAD["unknown model"]])
    with refused(grpc.StatusCode.NOT_FOUND, answer.error_message):
        client.infer(BAD["unknown model"])


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
