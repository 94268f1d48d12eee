"""ModelStreamInfer: order, half-close, the final answer that a client may ask for."""

import queue
import time
from collections.abc import Iterator
from typing import Any

import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import Client, floats, outputs, request
from support.server import Server

DEADLINE = 20.0


def scaled(each: int, model: str = "scale") -> pb.ModelInferRequest:
    width = 1024 if model == "slow" else 4
    return request(model, id_=str(each), x=floats(1, width, start=each))


def test_answers_keep_the_order_of_requests_whatever_they_take(client: Client) -> None:
    models = ["slow" if each % 5 == 0 else "scale" for each in range(40)]
    answers = list(client.stream([scaled(each, model) for each, model in enumerate(models)]))
    assert [answer.error_message for answer in answers] == [""] * 40
    assert [answer.infer_response.id for answer in answers] == [str(each) for each in range(40)]
    assert [answer.infer_response.model_name for answer in answers] == models


def test_more_requests_than_are_held_at_once_are_all_answered(client: Client) -> None:
    answers = list(client.stream([scaled(each) for each in range(1000)]))
    assert [answer.infer_response.id for answer in answers] == [str(each) for each in range(1000)]


def test_an_answer_comes_before_the_next_request_is_made(client: Client) -> None:
    to_send: queue.SimpleQueue[pb.ModelInferRequest | None] = queue.SimpleQueue()

    def requests() -> Iterator[pb.ModelInferRequest]:
        while (each := to_send.get(timeout=DEADLINE)) is not None:
            yield each

    stream = client.stream(requests())
    for each in range(5):
        to_send.put(scaled(each))
        answer = next(stream)
        assert outputs(answer.infer_response)["y"][0, 0] == 3 * each
    to_send.put(None)
    assert list(stream) == []
    assert stream.code().name == "OK"


def test_half_close_drains_then_ends_in_order(client: Client) -> None:
    stream = client.stream([scaled(each, "slow") for each in range(8)])
    assert len(list(stream)) == 8
    assert stream.code().name == "OK"


def test_an_empty_stream_is_ok(client: Client) -> None:
    stream = client.stream([])
    assert list(stream) == []
    assert stream.code().name == "OK"


def test_the_stream_is_accepted_before_the_first_answer(client: Client) -> None:
    to_send: queue.SimpleQueue[pb.ModelInferRequest | None] = queue.SimpleQueue()
    stream = client.stream(iter(lambda: to_send.get(timeout=DEADLINE), None))
    started = time.monotonic()
    stream.initial_metadata()
    assert time.monotonic() - started < DEADLINE / 2
    to_send.put(None)
    assert list(stream) == []


def test_the_final_answer_is_marked_for_who_asks(client: Client) -> None:
    plain, marked = scaled(0), scaled(1)
    marked.parameters["triton_enable_empty_final_response"].bool_param = True
    first, second = client.stream([plain, marked])
    assert "triton_final_response" not in first.infer_response.parameters
    assert second.infer_response.parameters["triton_final_response"].bool_param is True
    assert outputs(second.infer_response)["y"].shape == (1, 4)


def test_tritonclient_streams(zoo: Server) -> None:
    received: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    tensor = triton.InferInput("x", [1, 4], "FP32")
    tensor.set_data_from_numpy(floats(1, 4))
    with triton.InferenceServerClient(zoo.target) as client:
        client.start_stream(lambda result, error: received.put((result, error)))
        for each in range(20):
            client.async_stream_infer(
                "scale", [tensor], request_id=str(each), enable_empty_final_response=True
            )
        for each in range(20):
            result, error = received.get(timeout=DEADLINE)
            assert error is None
            assert result.get_response().id == str(each)
            assert result.get_response().parameters["triton_final_response"].bool_param
        client.stop_stream()
    assert received.empty()
