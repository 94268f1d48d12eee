"""An open loop: requests are sent when their time has come, however many are still unanswered.

A closed loop slows down with the server and so hides what overload does to callers who do not wait for each
other. Latency counts from the moment a request was due, not from when the generator came round to sending it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import grpc

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass
class Calls:
    """What became of the requests that were due in a window of `seconds`."""

    seconds: float
    #: Seconds from due to answered, of those that were answered.
    latencies: list[float] = field(default_factory=list)
    #: By the name of their status.
    refused: Counter[str] = field(default_factory=Counter)
    #: Neither when the generator stopped waiting.
    unanswered: int = 0
    #: Seconds by which the generator was late, at most: near the latencies, they would be its own.
    slip: float = 0.0

    @property
    def offered(self) -> int:
        """All of them."""
        return len(self.latencies) + sum(self.refused.values()) + self.unanswered


async def poisson(
    port: int, message: bytes, rate: float, seconds: float, patience: float, seed: int
) -> Calls:
    """Send `rate` requests per second at random moments and follow each for at most `patience` seconds.

    A request that is answered later is cancelled and counts as unanswered. The same `seed` gives the same
    moments.
    """
    moments = random.Random(seed)
    calls = Calls(seconds)
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        await asyncio.wait_for(channel.channel_ready(), 10)
        infer: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        under_way: set[asyncio.Task[None]] = set()

        async def call(due: float) -> None:
            try:
                await asyncio.wait_for(infer(message), patience)
            except grpc.aio.AioRpcError as error:
                calls.refused[error.code().name] += 1
            except TimeoutError:
                calls.unanswered += 1
            else:
                calls.latencies.append(time.perf_counter() - due)

        due = time.perf_counter()
        end = due + seconds
        while due < end:
            due += moments.expovariate(rate)
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            calls.slip = max(calls.slip, time.perf_counter() - due)
            task = asyncio.create_task(call(due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
    return calls
