"""Requests that would be answered too late are refused at once, once the model is known."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from support.client import Client, ints, outputs, refused, request, status
from support.python_models import STEADY
from support.repository import Repository
from support.rest import HTTP, triton_client
from support.server import Serve, Server
from tritonclient.utils import InferenceServerException

#: Seconds that a batch of one takes.
TAKES = 0.05

#: Batches that are enough to know that.
LESSONS = 8

Start = Callable[[str], tuple[Server, Client]]


@pytest.fixture
def start(serve: Serve, repository: Repository) -> Iterator[Start]:
    """Serve the steady model with more of a configuration, ask it often enough to know it, and connect."""
    clients: list[Client] = []

    def start(config: str) -> tuple[Server, Client]:
        seconds = f'parameters {{ key: "seconds" value {{ string_value: "{TAKES}" }} }}\n'
        repository.python("steady", STEADY, config=seconds + config)
        server = serve(*HTTP)
        server.wait_ready()
        clients.append(Client(server.target))
        for value in range(LESSONS):
            answer = clients[-1].infer(request("steady", x=ints([value])))
            assert outputs(answer)["y"].tolist() == [[value]]
        return server, clients[-1]

    yield start
    for client in clients:
        client.channel.close()


def crowd(client: Client, count: int) -> list[Any]:
    """Requests without a deadline of their own that matters, all taken in by the server."""
    calls = [client.start(request("steady", x=ints([value]))) for value in range(count)]
    client.fence()
    return calls


def answered(calls: list[Any]) -> list[list[list[int]]]:
    return [outputs(call.result())["y"].tolist() for call in calls]


def tensor(module: Any) -> Any:
    tensor = module.InferInput("x", [1, 1], "INT32")
    tensor.set_data_from_numpy(np.array([[7]], np.int32))
    return tensor


def test_a_deadline_that_cannot_be_met_is_told_at_once(start: Start) -> None:
    server, client = start("")
    calls = crowd(client, 20)
    with (
        triton.InferenceServerClient(server.target) as triton_grpc,
        pytest.raises(InferenceServerException) as caught,
    ):
        triton_grpc.infer("steady", [tensor(triton)], client_timeout=10 * TAKES)
    # Not DEADLINE_EXCEEDED: the answer is there before the deadline.
    assert caught.value.status() == "StatusCode.UNAVAILABLE"
    assert "Request would miss its deadline: " in caught.value.message()
    assert answered(calls) == [[[value]] for value in range(20)]
    assert client.statistics("steady").inference_stats.fail.count == 1


def test_over_http_too(start: Start) -> None:
    server, client = start("")
    calls = crowd(client, 20)
    with triton_client(server.http_port) as triton_rest, pytest.raises(InferenceServerException) as caught:
        triton_rest.infer("steady", [tensor(triton_http)], headers={"grpc-timeout": "500m"})
    assert caught.value.status() == "503"
    assert "Request would miss its deadline: " in caught.value.message()
    assert answered(calls) == [[[value]] for value in range(20)]


def test_a_deadline_that_can_be_met_is_met(start: Start) -> None:
    server, _ = start("")
    with triton.InferenceServerClient(server.target) as triton_grpc:
        result = triton_grpc.infer("steady", [tensor(triton)], client_timeout=200 * TAKES)
        assert result.as_numpy("y").tolist() == [[7]]


def test_who_would_expire_in_the_queue_need_not_wait_for_it(start: Start) -> None:
    _, client = start("dynamic_batching { default_queue_policy { allow_timeout_override: true } }")
    calls = crowd(client, 20)
    impatient = request("steady", x=ints([7]))
    impatient.parameters["timeout"].int64_param = int(10 * TAKES * 1e6)
    with refused(grpc.StatusCode.UNAVAILABLE, "Request would miss its queue timeout: "):
        client.infer(impatient)
    assert answered(calls) == [[[value]] for value in range(20)]


def test_with_an_objective_a_crowd_is_cut_to_what_can_be_served_in_time(start: Start) -> None:
    server, client = start('parameters { key: "slo_ms" value { string_value: "500" } }')
    calls = crowd(client, 40)
    codes = [call.code() for call in calls]
    served = codes.count(grpc.StatusCode.OK)
    # Ten batches fit the objective if nothing else wants the machine.
    assert 1 <= served <= 12
    assert codes.count(grpc.StatusCode.UNAVAILABLE) == 40 - served
    told = [status(call)[1] for call in calls if call.code() != grpc.StatusCode.OK]
    assert sum("Request would miss its slo_ms: " in message for message in told) >= 28
    # Whoever calls when the crowd is gone is served.
    with triton_client(server.http_port) as triton_rest:
        assert triton_rest.infer("steady", [tensor(triton_http)]).as_numpy("y").tolist() == [[7]]


def test_an_objective_is_a_number(serve: Serve, repository: Repository) -> None:
    config = 'parameters { key: "slo_ms" value { string_value: "fast" } }\n'
    repository.python("steady", STEADY, config=config)
    server = serve()
    failed = server.wait_for("model-load-failed", with_field="message")
    assert 'found "fast" for slo_ms, expected a number of milliseconds above 0' in failed["message"]
