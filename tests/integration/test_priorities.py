"""Levels of priority and their queue policies, through tritonclient; straight and through ensembles."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest
from support import onnx_models
from support.callers import Callers, callers
from support.client import SECONDS, Client, ints, refused, request
from support.ensembles import chain, put_ensemble
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.rest import HTTP
from support.server import Serve

Start = Callable[[str], Callers]

#: What is called, the gated model or an ensemble around one that ends with it, and how its errors begin.
WAYS = {"gated": "", "outer": "in ensemble 'outer', model 'inner': in ensemble 'inner', model 'gated': "}


@pytest.fixture(params=WAYS)
def model(request: pytest.FixtureRequest) -> str:
    """What the callers call."""
    name: str = request.param
    return name


@pytest.fixture
def start(serve: Serve, repository: Repository, gate: Gate, model: str) -> Iterator[Start]:
    """Serve the gated model, one row at a time, with more of a configuration, and hold its only instance."""
    repository.onnx("same", onnx_models.identity("INT32", ("n", 1)))
    for name, members in (("inner", ("same", "gated")), ("outer", ("inner",))):
        put_ensemble(repository, name, chain(*members, datatype="INT32", dims=(1,), max_batch_size=1))
    with ExitStack() as stack:

        def start(dynamic: str) -> Callers:
            batching = f"max_batch_size: 1 dynamic_batching {{ {dynamic} }}\n"
            repository.python("gated", GATED, config=gate.config + batching)
            server = serve(*HTTP)
            server.wait_ready()
            found = stack.enter_context(callers(server, model))
            with Client(server.target) as client:
                # Given up: it is the model that is held, not a caller.
                client.start(request("gated", x=ints([0])))
                assert gate.next_batch().rows == [[0]]
            return found

        yield start
        gate.open()


def served(gate: Gate, count: int) -> list[int]:
    """The values of the next so many batches, in the order in which the model was called with them."""
    gate.open()
    return [batch.rows[0][0] for batch in gate.batches(count)]


def test_lower_levels_are_served_first(start: Start, gate: Gate) -> None:
    calls = start("priority_levels: 3 default_priority_level: 2")
    # 0, nothing and what does not exist are the default.
    outcomes = [
        calls.grpc(1, priority=3),
        calls.grpc(2),
        calls.http(3, priority=1),
        calls.grpc(4, priority=1),
        calls.http(5, priority=3),
        calls.http(6, priority=9),
        calls.grpc(7, priority=2),
    ]
    assert served(gate, 7) == [3, 4, 2, 6, 7, 1, 5]
    assert [outcome.result(SECONDS) for outcome in outcomes] == [1, 2, 3, 4, 5, 6, 7]


def test_without_levels_a_priority_changes_nothing(start: Start, gate: Gate) -> None:
    calls = start("")
    calls.grpc(1, priority=2)
    calls.grpc(2, priority=1)
    assert served(gate, 2) == [1, 2]


def test_a_late_request_is_served_behind_its_level(start: Start, gate: Gate) -> None:
    calls = start(
        "priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 1 value { "
        "timeout_action: DELAY default_timeout_microseconds: 3600000000 allow_timeout_override: true } }"
    )
    # A microsecond is over before the next request is sent.
    late = calls.grpc(1, timeout=1)
    outcomes = [late, calls.grpc(2), calls.http(3, priority=2), calls.http(4)]
    assert served(gate, 4) == [2, 4, 1, 3]
    assert [outcome.result(SECONDS) for outcome in outcomes] == [1, 2, 3, 4]


@pytest.mark.parametrize("edge", ["grpc", "http"])
def test_a_request_is_refused_when_due_while_a_batch_runs(
    start: Start, gate: Gate, edge: str, model: str
) -> None:
    calls = start(
        "priority_levels: 2 default_priority_level: 2 "
        "priority_queue_policy { key: 1 value { default_timeout_microseconds: 100000 } }"
    )
    patient = getattr(calls, edge)(1)
    # The model is held all the while.
    assert getattr(calls, edge)(2, priority=1).result(SECONDS) == f"{WAYS[model]}Request timeout expired"
    assert not patient.done()
    assert served(gate, 1) == [1]
    assert patient.result(SECONDS) == 1


def test_what_expires_is_counted_with_the_time_it_waited(start: Start, model: str) -> None:
    calls = start("default_queue_policy { default_timeout_microseconds: 200000 }")
    assert calls.grpc(1).result(SECONDS) == f"{WAYS[model]}Request timeout expired"
    with Client(calls.target) as client:
        fail = client.statistics("gated").inference_stats.fail
        # The one that holds the model was given up.
        assert fail.count >= 1
        assert fail.ns >= 200_000_000


def test_every_level_has_its_own_size(start: Start, gate: Gate, model: str) -> None:
    calls = start(
        "priority_levels: 2 default_priority_level: 2 "
        "default_queue_policy { max_queue_size: 2 } "
        "priority_queue_policy { key: 1 value { max_queue_size: 1 } }"
    )
    waiting = [calls.grpc(1, priority=1), calls.http(2), calls.grpc(3)]
    for outcome in (calls.grpc(4, priority=1), calls.http(5, priority=1), calls.http(6), calls.grpc(7)):
        assert outcome.result(SECONDS) == f"{WAYS[model]}Exceeds maximum queue size"
    assert served(gate, 3) == [1, 2, 3]
    assert [outcome.result(SECONDS) for outcome in waiting] == [1, 2, 3]


def test_a_priority_is_a_whole_number(start: Start, model: str) -> None:
    calls = start("priority_levels: 2 default_priority_level: 1")
    for field, value in (("string_param", "1"), ("int64_param", -1), ("double_param", 1.0)):
        message = request(model, x=ints([1]))
        setattr(message.parameters["priority"], field, value)
        with Client(calls.target) as client, refused(grpc.StatusCode.INVALID_ARGUMENT, "'priority' must be"):
            client.infer(message)
