"""The figures of one level by which its validity is judged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Plain numbers, from whatever generated the load."""

    completed: int
    failed: int
    #: Of the generator's own lateness, and of the latency.
    lateness_p99_ns: int
    latency_p50_ns: int
    #: Share of the sending threads that was busy, 0 to 1.
    client_cpu: float
    connections_lost: int
    throughput: float
    #: Requests that were due and that were sent, per second. Closed loops have none due: None.
    wanted_rate: float | None = None
    sent_rate: float = 0.0
    #: The most requests that were under way, and how many may be.
    outstanding: int = 0
    max_outstanding: int = 0
    #: The percentile that the objective names, if it does, and how surely it must be known.
    percentile: float | None = None
    confidence: float = 0.99
    #: Whether the windows agreed; None where that was not asked for.
    stable: bool | None = None
    #: Answers per second of this client from a server that answers at once, where that was measured.
    ceiling: float | None = None
