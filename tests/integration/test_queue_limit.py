"""A full queue refuses at once; room that becomes free is used again."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from support.client import Client, ints, outputs, refused, request
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.server import Serve

CONFIG = "dynamic_batching { default_queue_policy { max_queue_size: 2 } }\n"


@pytest.fixture
def full(serve: Serve, repository: Repository, gate: Gate) -> Iterator[tuple[Client, list[Any]]]:
    """A client of a model that is held in a batch, and the two requests that wait behind it."""
    repository.python("gated", GATED, config=gate.config + CONFIG)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        client.start(request("gated", x=ints([0])))
        gate.next_batch()
        waiting = [client.start(request("gated", x=ints([value]))) for value in (1, 2)]
        client.fence()
        yield client, waiting
        gate.open()


def test_one_more_is_refused(full: tuple[Client, list[Any]], gate: Gate) -> None:
    client, waiting = full
    with refused(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size"):
        client.infer(request("gated", x=ints([3])))
    assert client.statistics("gated").inference_stats.fail.count == 1
    gate.open()
    assert [outputs(call.result())["y"].tolist() for call in waiting] == [[[1]], [[2]]]


def test_who_is_refused_is_told_that_the_server_lives(full: tuple[Client, list[Any]]) -> None:
    client, _ = full
    call = client.start(request("gated", x=ints([3])))
    assert call.code() is grpc.StatusCode.UNAVAILABLE
    assert ("infermesh-overload", "1") in call.trailing_metadata()


def test_within_a_stream_too(full: tuple[Client, list[Any]]) -> None:
    client, _ = full
    (answer,) = client.stream([request("gated", id_="third", x=ints([3]))])
    assert "Exceeds maximum queue size" in answer.error_message
    assert answer.infer_response.id == "third"


def test_requests_that_were_given_up_make_room(full: tuple[Client, list[Any]], gate: Gate) -> None:
    client, (first, _) = full
    first.cancel()
    client.fence()
    accepted = client.start(request("gated", x=ints([3])))
    client.fence()
    assert not accepted.done()
    gate.open()
    assert gate.next_batch().rows == [[2], [3]]
    assert outputs(accepted.result())["y"].tolist() == [[3]]
