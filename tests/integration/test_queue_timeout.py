"""Requests that wait longer than the queue's policy, or than they themselves allow, are refused."""

import grpc
import pytest
from support.client import Client, ints, outputs, refused, request
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.server import Serve

POLICY = (
    "dynamic_batching {{ default_queue_policy {{ default_timeout_microseconds: {default} "
    "allow_timeout_override: true }} }}\n"
)


@pytest.mark.parametrize(("default", "own"), [(200_000, None), (60_000_000, 200_000)])
def test_a_request_expires_in_the_queue(
    serve: Serve, repository: Repository, gate: Gate, default: int, own: int | None
) -> None:
    repository.python("gated", GATED, config=gate.config + POLICY.format(default=default))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        running = client.start(request("gated", x=ints([0])))
        gate.next_batch()
        expiring = request("gated", x=ints([1]))
        if own is not None:
            expiring.parameters["timeout"].int64_param = own
        with refused(grpc.StatusCode.UNAVAILABLE, "Request timeout expired"):
            client.infer(expiring, timeout=5)
        gate.open()
        assert outputs(running.result())["y"].tolist() == [[0]]
        assert outputs(client.infer(request("gated", x=ints([2]))))["y"].tolist() == [[2]]
        assert gate.next_batch().rows == [[2]]
