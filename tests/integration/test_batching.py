"""Which requests run together, as the model itself sees it and as the statistics tell it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.client import SECONDS, Client, ints, outputs, request
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.server import Serve

HOUR_US = 3_600_000_000


def single_rows(client: Client, *values: int) -> list[Any]:
    """One request per value, each of one row, all taken in by the server."""
    calls = [client.start(request("gated", x=ints([value]))) for value in values]
    client.fence()
    return calls


@pytest.fixture
def start(serve: Serve, repository: Repository, gate: Gate) -> Iterator[Any]:
    """Serve the gated model with more of a configuration and connect."""
    clients: list[Client] = []

    def start(config: str = "") -> Client:
        repository.python("gated", GATED, config=gate.config + config)
        server = serve()
        server.wait_ready()
        clients.append(Client(server.target))
        return clients[-1]

    yield start
    for client in clients:
        client.channel.close()


def test_what_waits_while_the_model_is_busy_runs_together(start: Any, gate: Gate) -> None:
    client = start()
    calls = single_rows(client, 0)
    assert gate.next_batch().rows == [[0]]
    calls += single_rows(client, 1, 2, 3)
    gate.let()
    assert gate.next_batch().rows == [[1], [2], [3]]
    gate.let()
    assert [outputs(call.result())["y"].tolist() for call in calls] == [[[each]] for each in range(4)]


def test_a_batch_holds_max_batch_size_rows_at_most(start: Any, gate: Gate) -> None:
    client = start()
    single_rows(client, 0)
    gate.next_batch()
    calls = single_rows(client, *range(1, 11))
    gate.let(2)
    assert gate.next_batch().rows == [[each] for each in range(1, 9)]
    assert gate.next_batch().rows == [[9], [10]]
    gate.open()
    assert all(call.result() for call in calls)


def test_requests_are_never_torn_apart(start: Any, gate: Gate) -> None:
    client = start()
    single_rows(client, 0)
    gate.next_batch()
    calls = [client.start(request("gated", x=ints(*[[each]] * 5))) for each in (1, 2)]
    client.fence()
    gate.open()
    assert [len(batch.rows) for batch in gate.batches(2)] == [5, 5]
    assert [outputs(call.result())["y"].shape for call in calls] == [(5, 1), (5, 1)]


def test_unequal_shapes_never_share_a_batch(start: Any, gate: Gate) -> None:
    client = start()
    single_rows(client, 0)
    gate.next_batch()
    calls = [
        client.start(request("gated", x=ints(row))) for row in ([1], [2, 2], [3], [4, 4], [5, 5, 5], [6])
    ]
    client.fence()
    gate.open()
    assert [batch.rows for batch in gate.batches(3)] == [[[1], [3], [6]], [[2, 2], [4, 4]], [[5, 5, 5]]]
    assert [outputs(call.result())["y"].shape for call in calls] == [
        (1, 1),
        (1, 2),
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 1),
    ]


def test_a_preferred_size_runs_before_its_delay_is_over(start: Any, gate: Gate) -> None:
    client = start(
        f"dynamic_batching {{ preferred_batch_size: 4, max_queue_delay_microseconds: {HOUR_US} }}\n"
    )
    gate.open()
    calls = single_rows(client, 1, 2, 3, 4)
    assert gate.next_batch().rows == [[1], [2], [3], [4]]
    assert all(call.result() for call in calls)


def test_the_largest_preferred_size_that_waits_is_taken(start: Any, gate: Gate) -> None:
    client = start(
        f"dynamic_batching {{ preferred_batch_size: [2, 4], max_queue_delay_microseconds: {HOUR_US} }}\n"
    )
    single_rows(client, 1, 2)
    assert len(gate.next_batch().rows) == 2
    calls = single_rows(client, *range(3, 10))
    gate.open()
    # Four, then two; the seventh waits for company.
    assert [len(batch.rows) for batch in gate.batches(2)] == [4, 2]
    calls += single_rows(client, 10)
    assert gate.next_batch().rows == [[9], [10]]
    assert all(call.result() for call in calls)


def test_less_than_a_preferred_size_runs_when_the_delay_is_over(start: Any, gate: Gate) -> None:
    delay = 0.5
    client = start(
        f"dynamic_batching {{ preferred_batch_size: 8, max_queue_delay_microseconds: {int(delay * 1e6)} }}\n"
    )
    gate.open()
    started = time.monotonic()
    calls = single_rows(client, 1, 2, 3)
    assert gate.next_batch().rows == [[1], [2], [3]]
    assert time.monotonic() - started >= delay
    assert all(call.result() for call in calls)
    assert time.monotonic() - started < SECONDS


def test_without_dynamic_batching_every_request_runs_alone(start: Any, gate: Gate) -> None:
    client = start("max_batch_size: 8\n")
    single_rows(client, 0)
    gate.next_batch()
    calls = single_rows(client, 1, 2, 3)
    gate.open()
    assert [batch.rows for batch in gate.batches(3)] == [[[1]], [[2]], [[3]]]
    assert all(call.result() for call in calls)


def test_statistics_count_rows_and_batches(start: Any, gate: Gate) -> None:
    client = start()
    calls = single_rows(client, 0)
    gate.next_batch()
    calls += single_rows(client, 1, 2, 3)
    calls.append(client.start(request("gated", x=ints([4], [5]))))
    client.fence()
    gate.open()
    assert all(call.result() for call in calls)
    found = client.statistics("gated")
    assert (found.inference_count, found.execution_count) == (6, 2)
    assert {each.batch_size: each.compute_infer.count for each in found.batch_stats} == {1: 1, 5: 1}
    assert found.inference_stats.success.count == 5
    assert found.inference_stats.queue.count == 5
    assert found.inference_stats.queue.ns > 0
    assert found.inference_stats.fail.count == 0
    assert found.last_inference > 0
