"""Instances of a model run at the same time, and no more of them than are configured."""

import pytest
from support.client import Client, ints, outputs, request
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.server import Serve


@pytest.mark.parametrize("count", [1, 2, 3])
def test_instances_run_in_parallel(serve: Serve, repository: Repository, gate: Gate, count: int) -> None:
    groups = f"max_batch_size: 1\ninstance_group {{ count: {count} }}\n"
    repository.python("gated", GATED, config=gate.config + groups)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        calls = [client.start(request("gated", x=ints([value]))) for value in range(count + 1)]
        inside = gate.batches(count)
        assert {batch.instance for batch in inside} == set(range(count))
        assert sorted(batch.rows[0][0] for batch in inside) == list(range(count))
        # All of them are held: the one request more waits until one is let go.
        client.fence()
        assert not any(call.done() for call in calls)
        gate.let()
        assert gate.next_batch().rows == [[count]]
        gate.open()
        assert [outputs(call.result())["y"].tolist() for call in calls] == [
            [[value]] for value in range(count + 1)
        ]


def test_groups_add_up(serve: Serve, repository: Repository, gate: Gate) -> None:
    groups = "max_batch_size: 1\ninstance_group [ { count: 1 }, { count: 2 } ]\n"
    repository.python("gated", GATED, config=gate.config + groups)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        for value in range(3):
            client.start(request("gated", x=ints([value])))
        assert {batch.instance for batch in gate.batches(3)} == {0, 1, 2}
        gate.open()


def test_a_blocked_model_holds_no_other_back(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("gated", GATED, config=gate.config)
    repository.python("free", GATED.replace("os.read(self.go, 1)", ""), config=gate.config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        held = client.start(request("gated", x=ints([1])))
        gate.next_batch()
        assert outputs(client.infer(request("free", x=ints([2]))))["y"].tolist() == [[2]]
        assert not held.done()
        gate.open()
        held.result()
