"""Closed-loop callers over gRPC, in several processes, since one interpreter cannot keep a GPU busy."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from infermesh_perf.bodies import infer_request
from infermesh_perf.gpu_cases import Case
from infermesh_perf.rpc import Client


def run(port: int, case: Case, seconds: float) -> float:
    """Samples a second that the server at `port` answers; raises RunError if it refuses one."""
    processes = max(1, min(case.load.streams, len(os.sched_getaffinity(0)) // 2))
    each = [
        case.load.streams // processes + (index < case.load.streams % processes) for index in range(processes)
    ]
    body = infer_request(replace(case.model, name=case.name), case.model.sample(case.load.rows))
    # Started anew: a copy of a process with gRPC's threads does not work.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        begin = time.time() + 2.0
        counts = pool.map(
            _calls, [port] * processes, [body] * processes, each, [begin] * processes, [seconds] * processes
        )
        return sum(counts) * case.load.rows / seconds


def _calls(port: int, body: bytes, streams: int, begin: float, seconds: float) -> int:
    """Requests that `streams` callers had answered between `begin` and `seconds` later."""
    end = begin + seconds

    def call(_: int) -> int:
        count = 0
        while (now := time.time()) < end:
            client.infer(body)
            count += begin <= now and time.time() <= end
        return count

    with Client(port) as client, ThreadPoolExecutor(streams) as callers:
        return sum(callers.map(call, range(streams)))
