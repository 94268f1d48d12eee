import asyncio
from collections import Counter

import grpc
import pytest
from infermesh_perf.bench.open_loop import METHOD, Calls, poisson
from infermesh_perf.bench.overload import Device, Turn, policies


def test_only_what_is_in_time_is_good() -> None:
    calls = Calls(2.0, [0.01, 0.05, 0.051, 0.2], Counter(UNAVAILABLE=3), unanswered=1, slip=0.004)
    turn = Turn.of(calls, 0.05)
    assert (turn.offered, turn.good, turn.late, turn.refused, turn.unanswered) == (4.0, 1.0, 1.0, 1.5, 0.5)
    assert turn.slip == 4.0


def test_nothing_answered_has_no_latency() -> None:
    assert Turn.of(Calls(1.0), 0.05).p99 == 0


def test_capacity_is_that_of_full_batches() -> None:
    assert Device(8, 1.5).full_batch == 20
    assert Device(8, 1.5).capacity == 400


def test_the_timeout_set_by_hand_leaves_time_for_a_batch() -> None:
    found = policies(100, 5, Device(8, 1.5))
    assert "default_timeout_microseconds: 78000" in found["and one set by hand"]
    assert "max_queue_delay_microseconds" not in found["slo_ms"]


class Answers(grpc.GenericRpcHandler):
    """Answers every other request, and refuses the rest."""

    def __init__(self) -> None:
        self.seen = 0

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:  # type: ignore[type-arg]
        assert details.method == METHOD
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def answer(self, message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.seen += 1
        if self.seen % 2 == 0:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        return message


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_sent_is_accounted_for(seed: int) -> None:
    async def run() -> tuple[Calls, int]:
        handler = Answers()
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        calls = await poisson(port, b"x", 200, 0.5, 10, seed)
        await server.stop(0)
        return calls, handler.seen

    calls, seen = asyncio.run(run())
    assert calls.offered == seen > 0
    assert calls.unanswered == 0
    assert calls.refused == {"UNAVAILABLE": seen // 2}
    assert len(calls.latencies) == seen - seen // 2
