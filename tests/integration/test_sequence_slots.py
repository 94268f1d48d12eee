"""Slots of sequences: places in the batch, who waits for one, who loses one."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from support.client import Client, refused
from support.gate import Gate
from support.python_models import TALLY
from support.repository import Repository
from support.sequences import CONTROLS, PATIENT, TALLY_PORTS, step, total
from support.server import Serve, Server

Start = Callable[[str], Client]

#: A row that is not ready.
NOBODY = [0, 0, 0]


@pytest.fixture
def start(serve: Serve, repository: Repository, gate: Gate) -> Any:
    """Serve a model that is held in each batch, with this configuration, and connect to it."""
    clients: list[Client] = []

    def start(config: str) -> Client:
        repository.python("tally", TALLY, config=gate.config + TALLY_PORTS + config)
        server: Server = serve()
        server.wait_ready()
        clients.append(Client(server.target))
        return clients[-1]

    yield start
    gate.open()
    for client in clients:
        client.channel.close()


def sequences(batch: int, strategy: str = "", more: str = "") -> str:
    return f"max_batch_size: {batch} sequence_batching {{ {strategy} {CONTROLS} }} {more}"


def begin(client: Client, gate: Gate, sequence: int = 1) -> Any:
    """A first request, in which the model is held."""
    call = client.start(step("tally", sequence, 10 * sequence, start=True))
    assert gate.next_batch().rows == [[sequence, 10 * sequence, 1]]
    return call


def test_a_sequence_stays_at_its_row_and_gaps_are_not_ready(start: Start, gate: Gate) -> None:
    client = start(sequences(3, PATIENT))
    calls = [begin(client, gate)]
    calls += [client.start(step("tally", sequence, 10 * sequence, start=True)) for sequence in (2, 3)]
    client.fence()
    gate.let()
    # The first has nothing to run in this batch.
    assert gate.next_batch().rows == [NOBODY, [2, 20, 1], [3, 30, 1]]
    calls.append(client.start(step("tally", 3, 1)))
    calls.append(client.start(step("tally", 1, 1)))
    client.fence()
    gate.let()
    assert gate.next_batch().rows == [[1, 1, 1], NOBODY, [3, 1, 1]]
    gate.open()
    assert [total(call.result()) for call in calls] == [10, 20, 30, 31, 11]


def test_the_oldest_come_first_and_without_gaps(start: Start, gate: Gate) -> None:
    client = start(sequences(2, f"{PATIENT} oldest {{ max_candidate_sequences: 4 }}"))
    begin(client, gate)
    for sequence in (4, 3, 2):
        client.start(step("tally", sequence, sequence, start=True))
        client.fence()
    gate.let()
    assert gate.next_batch().rows == [[4, 4, 1], [3, 3, 1]]
    gate.let()
    assert gate.next_batch().rows == [[2, 2, 1]]
    gate.open()


def test_who_finds_no_slot_waits_for_an_end(start: Start, gate: Gate) -> None:
    client = start(sequences(1, PATIENT))
    begin(client, gate)
    calls = [client.start(step("tally", sequence, sequence, start=True)) for sequence in (2, 3)]
    client.fence()
    gate.let()
    calls.append(client.start(step("tally", 1, 5)))
    assert gate.next_batch().rows == [[1, 5, 1]]
    calls.append(client.start(step("tally", 1, 6, end=True)))
    client.fence()
    gate.let()
    assert gate.next_batch().rows == [[1, 6, 1]]
    gate.let()
    assert gate.next_batch().rows == [[2, 2, 1]]
    assert not calls[1].done()
    calls.append(client.start(step("tally", 2, 7, end=True)))
    client.fence()
    gate.open()
    assert gate.next_batch().rows == [[2, 7, 1]]
    assert gate.next_batch().rows == [[3, 3, 1]]
    assert [total(call.result()) for call in calls] == [2, 3, 15, 21, 9]


def test_who_finds_no_slot_gets_that_of_an_idle_sequence(start: Start, gate: Gate) -> None:
    client = start(sequences(1, "max_sequence_idle_microseconds: 200000"))
    gate.open()
    assert total(client.infer(step("tally", 1, 1, start=True))) == 1
    # Answered as soon as the first has been silent for long enough.
    assert total(client.infer(step("tally", 2, 2, start=True))) == 2
    words = "inference request for sequence 1 to model 'tally' must specify the START flag"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, words):
        client.infer(step("tally", 1, 1))


def test_an_instance_keeps_its_sequences(start: Start, gate: Gate) -> None:
    client = start(sequences(2, PATIENT, "instance_group { count: 2 }"))
    gate.open()
    homes: dict[int, set[int]] = {}
    for turn in range(4):
        for sequence in range(1, 5):
            client.infer(step("tally", sequence, 1, start=turn == 0, end=turn == 3))
            batch = gate.next_batch()
            homes.setdefault(sequence, set()).add(batch.instance)
            assert [row for row in batch.rows if row != NOBODY] == [[sequence, 1, 1]]
    assert [len(home) for home in homes.values()] == [1] * 4
    assert set.union(*homes.values()) == {0, 1}


def test_a_sequence_ends_with_a_request_that_is_given_up(start: Start, gate: Gate) -> None:
    client = start(sequences(1, PATIENT))
    begin(client, gate)
    given_up = client.start(step("tally", 1, 1))
    client.fence()
    behind = client.start(step("tally", 1, 2))
    client.fence()
    given_up.cancel()
    client.fence()
    gate.open()
    # What would follow would be computed without it.
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "must specify the START flag"):
        behind.result()
    assert total(client.infer(step("tally", 1, 7, start=True, end=True))) == 7


def test_a_request_says_how_long_it_waits_for_a_slot(start: Start, gate: Gate) -> None:
    client = start(sequences(1, PATIENT))
    begin(client, gate)
    message = step("tally", 2, 2, start=True)
    message.parameters["timeout"].int64_param = 100_000
    with refused(grpc.StatusCode.UNAVAILABLE, "Request timeout expired"):
        client.infer(message)
    gate.open()


def test_a_drain_answers_whoever_waits_for_a_slot(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("tally", TALLY, config=gate.config + TALLY_PORTS + sequences(1, PATIENT))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        calls = [begin(client, gate)]
        calls += [client.start(step("tally", sequence, sequence, start=True)) for sequence in range(2, 6)]
        client.fence()
        server.terminate()
        server.wait_for("server-draining")
        gate.open()
        assert [total(call.result()) for call in calls] == [10, 2, 3, 4, 5]
    assert server.stop() == 0
