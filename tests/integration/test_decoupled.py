"""Decoupled Python models: any number of answers to a request, each sent as soon as it is there."""

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, ints, outputs, refused, request
from support.gate import Gate
from support.python_models import EACH, ENDLESS
from support.repository import Repository
from support.rest import HTTP, Rest, json_request
from support.server import LOOPBACK, Serve, Server, serving

#: For a model that does not batch.
ONE = np.array([1], np.int32)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A decoupled model, and one that is not."""
    repository = Repository.make(tmp_path_factory.mktemp("decoupled"))
    repository.python("each", EACH, config="instance_group { count: 2 }\n")
    repository.onnx("scale", onnx_models.scale(3.0))
    with serving(repository.root, *LOOPBACK, *HTTP) as server:
        yield server


def each(*numbers: int, id_: str = "", marked: bool = False) -> pb.ModelInferRequest:
    message = request("each", id_=id_, x=ints(numbers))
    if marked:
        message.parameters["triton_enable_empty_final_response"].bool_param = True
    return message


def is_last(answer: pb.ModelStreamInferResponse) -> bool:
    return answer.infer_response.parameters["triton_final_response"].bool_param


def numbers(answers: list[pb.ModelStreamInferResponse], id_: str) -> list[int]:
    """What was answered to one request."""
    mine = [answer.infer_response for answer in answers if answer.infer_response.id == id_]
    return [int(outputs(answer)["y"][0, 0]) for answer in mine if answer.outputs]


def test_a_request_has_as_many_answers_as_the_model_yields(client: Client) -> None:
    answers = list(client.stream([each(3, 1, 4, 1, 5, id_="pi")]))
    assert numbers(answers, "pi") == [3, 1, 4, 1, 5]
    assert [is_last(answer) for answer in answers] == [False] * 5
    assert {answer.infer_response.model_name for answer in answers} == {"each"}


def test_responses_are_counted_by_their_place(client: Client) -> None:
    before = client.statistics("each").response_stats
    list(client.stream([each(3, 1), each(4)]))
    after = client.statistics("each").response_stats

    def more(place: str, outcome: str) -> int:
        return int(getattr(after[place], outcome).count - getattr(before[place], outcome).count)

    assert [more(place, "success") for place in ("0", "1", "2")] == [2, 1, 0]
    assert [more(place, "empty_response") for place in ("0", "1", "2")] == [0, 1, 1]
    assert more("0", "compute_infer") == more("0", "compute_output") == 2
    assert after["0"].success.ns >= after["0"].compute_infer.ns > 0


def test_the_end_is_told_to_who_asks(client: Client) -> None:
    *answers, end = client.stream([each(3, 1, id_="a", marked=True)])
    assert numbers(answers, "a") == [3, 1]
    assert [is_last(answer) for answer in answers] == [False, False]
    assert is_last(end)
    assert (end.infer_response.id, end.infer_response.model_name) == ("a", "each")
    assert len(end.infer_response.outputs) == len(end.infer_response.raw_output_contents) == 0


def test_a_request_may_have_no_answer_at_all(client: Client) -> None:
    empty = request("each", id_="none", x=np.zeros((1, 0), np.int32))
    assert list(client.stream([empty])) == []
    empty.parameters["triton_enable_empty_final_response"].bool_param = True
    (end,) = client.stream([empty])
    assert is_last(end)


def test_the_batch_dimension_of_a_request_stays(client: Client) -> None:
    first, second = client.stream([request("each", x=ints((1, 2), (3, 4), (5, 6)))])
    assert outputs(first.infer_response)["y"].tolist() == [[1], [3], [5]]
    assert outputs(second.infer_response)["y"].tolist() == [[2], [4], [6]]


def test_many_requests_on_one_stream_share_it(client: Client) -> None:
    wanted = {str(count): list(range(count)) for count in range(1, 60)}
    answers = list(client.stream([each(*row, id_=id_, marked=True) for id_, row in wanted.items()]))
    assert {id_: numbers(answers, id_) for id_ in wanted} == wanted
    assert sum(is_last(answer) for answer in answers) == len(wanted)


def test_other_models_on_the_stream_keep_their_order(client: Client) -> None:
    mixed: list[pb.ModelInferRequest] = []
    for step in range(30):
        mixed += [request("scale", id_=f"s{step}", x=floats(1, 4, start=step)), each(step, step, id_="e")]
    answers = list(client.stream(mixed))
    assert [answer.error_message for answer in answers] == [""] * 90
    scaled = [answer.infer_response.id for answer in answers if answer.infer_response.id != "e"]
    assert scaled == [f"s{step}" for step in range(30)]


@pytest.mark.parametrize(
    ("number", "fragments"),
    [
        (-1, ["each", "ValueError", "seven is no answer"]),
        (-2, ["'y'", "shape [1, 2]", "expected [1, 1]"]),
        (-3, ["infer yielded list", "expected a dict"]),
    ],
)
def test_an_error_in_the_middle_ends_its_request_and_no_other(
    client: Client, number: int, fragments: list[str]
) -> None:
    before = client.statistics("each").inference_stats
    answers = list(
        client.stream([each(1, 2, number, 3, id_="bad", marked=True), each(*range(9), id_="good")])
    )
    assert numbers(answers, "good") == list(range(9))
    assert numbers(answers, "bad") == [1, 2]
    (error,) = [answer for answer in answers if answer.error_message]
    assert error.infer_response.id == "bad"
    assert error.infer_response.parameters["grpc_status"].int64_param == grpc.StatusCode.INTERNAL.value[0]
    assert all(fragment in error.error_message for fragment in fragments), error.error_message
    # It is the last that is said of the request.
    assert [answer for answer in answers if is_last(answer)] == [error]
    after = client.statistics("each").inference_stats
    assert (after.fail.count - before.fail.count, after.success.count - before.success.count) == (1, 1)


def test_triton_grpc_error_ends_the_stream_with_the_model_s_error(client: Client) -> None:
    stream = client.stream([each(1, -1)], triton_grpc_error="true")
    assert numbers([next(stream)], "") == [1]
    with refused(grpc.StatusCode.INTERNAL, "seven is no answer"):
        next(stream)


def test_a_request_that_is_wrong_is_refused_in_the_stream(client: Client) -> None:
    answers = list(client.stream([request("each", id_="bad", z=ints([1])), each(1, id_="good")]))
    assert numbers(answers, "good") == [1]
    (error,) = [answer for answer in answers if answer.error_message]
    assert error.infer_response.id == "bad"


def test_one_answer_per_call_is_not_enough_for_it(zoo: Server, client: Client) -> None:
    words = "doesn't support models with decoupled transaction policy"
    with refused(grpc.StatusCode.UNIMPLEMENTED, f"ModelInfer RPC {words}"):
        client.infer(each(1))
    with Rest(zoo.http_port) as rest:
        answer = rest.post("/v2/models/each/infer", json_request("INT32", [1, 1], [1]))
    assert (answer.status, answer.error) == (501, f"HTTP end point {words}")


def test_a_request_is_counted_once(client: Client) -> None:
    before = client.statistics("each")
    list(client.stream([each(*range(5)), each(*range(7))]))
    after = client.statistics("each")
    assert after.inference_count - before.inference_count == 2
    assert after.execution_count - before.execution_count == 2
    assert after.inference_stats.success.count - before.inference_stats.success.count == 2


def test_tritonclient_reads_until_the_end(zoo: Server) -> None:
    received: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    tensor = triton.InferInput("x", [1, 3], "INT32")
    tensor.set_data_from_numpy(ints((7, 8, 9)))
    with triton.InferenceServerClient(zoo.target) as client:
        assert client.get_model_config("each").config.model_transaction_policy.decoupled
        client.start_stream(lambda result, error: received.put((result, error)))
        client.async_stream_infer("each", [tensor], request_id="t", enable_empty_final_response=True)
        found = []
        while True:
            result, error = received.get(timeout=SECONDS)
            assert error is None
            if result.get_response().parameters["triton_final_response"].bool_param:
                break
            found.append(int(result.as_numpy("y")[0, 0]))
        client.stop_stream()
    assert found == [7, 8, 9]


def test_tritonclient_reads_asynchronously(zoo: Server) -> None:
    async def requests() -> AsyncIterator[dict[str, Any]]:
        for id_ in ("a", "b"):
            tensor = triton.InferInput("x", [1, 4], "INT32")
            tensor.set_data_from_numpy(ints((1, 2, 3, -1)))
            yield {"model_name": "each", "inputs": [tensor], "request_id": id_}

    async def read() -> list[tuple[str, list[int] | None]]:
        async with triton_aio.InferenceServerClient(zoo.target) as client:
            return [
                (result.get_response().id, result.as_numpy("y")[0].tolist()) if error is None else ("", None)
                async for result, error in client.stream_infer(requests(), stream_timeout=SECONDS)
            ]

    found = asyncio.run(read())
    for id_ in ("a", "b"):
        assert [row for given, row in found if given == id_] == [[1], [2], [3]]
    assert found.count(("", None)) == 2


class Endless:
    """A model that counts for ever, one number each time it is let."""

    def __init__(self, client: Client, gate: Gate) -> None:
        self.client = client
        self.gate = gate

    def ask(self) -> Any:
        """Start a stream with one request; returns when the model works on it."""
        stream = self.client.stream([request("endless", x=ONE)])
        assert self.reported() == 0
        return stream

    def reported(self) -> int:
        """What the model says next: a number, or -1 when it is told to stop."""
        return int(self.gate.next_batch().rows[0][0])


@pytest.fixture
def endless(serve: Serve, repository: Repository, gate: Gate) -> Iterator[Endless]:
    repository.python("endless", ENDLESS, config=gate.config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        yield Endless(client, gate)


def test_an_answer_is_sent_before_the_next_is_made(endless: Endless) -> None:
    stream = endless.ask()
    for number in range(5):
        endless.gate.let()
        assert outputs(next(stream).infer_response)["y"].tolist() == [number]
        assert endless.reported() == number + 1
    stream.cancel()
    endless.client.fence()
    endless.gate.let()
    assert endless.reported() == -1


def test_a_client_that_leaves_sets_the_instance_free(endless: Endless) -> None:
    first = endless.ask()
    first.cancel()
    # It is inside the model's code, and stops at its next answer; then the next request may run.
    endless.client.fence()
    endless.gate.let()
    assert endless.reported() == -1
    second = endless.ask()
    second.cancel()
    endless.client.fence()
    endless.gate.let()
    assert endless.reported() == -1
    statistics = endless.client.statistics("endless").inference_stats
    assert (statistics.fail.count, statistics.success.count) == (2, 0)


def test_a_deadline_ends_a_stream_that_nobody_reads(endless: Endless) -> None:
    stream = endless.client.inference.ModelStreamInfer(iter([request("endless", x=ONE)]), timeout=1.0)
    endless.gate.let()
    while endless.reported() != -1:
        endless.gate.let()
    with refused(grpc.StatusCode.DEADLINE_EXCEEDED):
        list(stream)


def test_a_drain_waits_for_a_stream_that_runs(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("finite", ENDLESS.replace("itertools.count()", "range(20)"), config=gate.config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        stream = client.stream([request("finite", x=ONE)])
        assert gate.next_batch().rows == [[0]]
        server.terminate()
        server.wait_for("server-draining")
        gate.open()
        found = [outputs(answer.infer_response)["y"].tolist() for answer in _until_status(stream)]
    assert found == [[number] for number in range(20)]
    assert server.stop() == 0


def _until_status(stream: Any) -> Iterator[pb.ModelStreamInferResponse]:
    """The answers of a stream that ends with a refusal of anything further."""
    try:
        yield from stream
    except grpc.RpcError:
        assert stream.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
