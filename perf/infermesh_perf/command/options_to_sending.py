"""From options to how the generator sends."""

from __future__ import annotations

from infermesh_perf.command import values
from infermesh_perf.command.options import SendingOptions, ServerOptions, TargetOptions
from infermesh_perf.command.provenance import cores
from infermesh_perf.load.plan import Sending

LONGEST_TIMEOUT_SECONDS = 86_400.0


def sending_of(
    target: TargetOptions,
    sending: SendingOptions,
    server: ServerOptions,
    *,
    seed: int,
    records: int,
    gaps_ns: tuple[int, ...],
) -> Sending:
    """What stays the same from level to level. `records` and `gaps_ns` are those of `Sending`."""
    return Sending(
        threads=sending.threads or max(cores() // 2, 1),
        connections=sending.connections,
        timeout_seconds=values.within("--timeout", target.timeout, 0, LONGEST_TIMEOUT_SECONDS, "s"),
        max_outstanding=sending.max_outstanding,
        seed=seed,
        records=records,
        trace_share=values.within("--trace-share", server.trace_share, 0, 1),
        gaps_ns=gaps_ns,
    )
