"""Threads that call again and again, as often as they can."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def calls_per_second(call: Callable[[], object], callers: int, seconds: float) -> float:
    """How often so many threads together have called, from a common start to the end of the last call.

    Each calls once before, which is not counted.
    """
    counts = [0] * callers
    ends = [0.0] * callers
    start = threading.Barrier(callers + 1)

    def loop(caller: int) -> None:
        call()
        start.wait()
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            call()
            counts[caller] += 1
        ends[caller] = time.perf_counter()

    threads = [threading.Thread(target=loop, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    start.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(counts) / (max(ends) - started)
