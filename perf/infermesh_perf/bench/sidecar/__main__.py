"""The benchmark of the sidecar beside Envoy: `python -m infermesh_perf.bench.sidecar`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from infermesh_perf.bench import h2load
from infermesh_perf.bench.entry import Out, Root, names_of, run, streams_of
from infermesh_perf.bench.measure import Plan
from infermesh_perf.bench.sidecar.bench import PARTS, measure_and_show


def sidecar(
    rounds: Annotated[int, typer.Option(min=1, help="How often every way gets its turn.")] = 5,
    duration: Annotated[float, typer.Option(min=1, help="Seconds of each measured run, whole ones.")] = 3,
    streams: Annotated[str, typer.Option(help="Requests in flight.")] = "1,16,64",
    parts: Annotated[str, typer.Option(help="What is measured, in this order.")] = ",".join(PARTS),
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure the sidecar beside Envoy, in turns, with h2load as the client and Triton behind both.

    - `fronts`: Triton by itself, behind Envoy and behind the sidecar; infermesh's server behind the sidecar.
    - `pairs`: two proxies behind each other, in plaintext and with mutual TLS between them.
    - `costs`: processor time and memory at a fixed rate of requests, 1 KB and 1 MB both ways.
    - `starts`: from the start of the process to the first answer through it, and its memory.

    Envoy is a plain proxy for HTTP/2 with a worker for each core. The sidecar is as it comes, with retries
    and circuit breaker. Triton and Envoy are installed into `.peers/` on the first run; every way's answer is
    held against ONNX Runtime first. Ratios are taken round by round and shown with their spread and with what
    is wanted of them. The result is written to `perf/results/sidecar-DATE-KIND.json`.

    **Examples**

    - everything, about ten minutes: `python -m infermesh_perf.bench.sidecar`
    - a look in two minutes: `python -m infermesh_perf.bench.sidecar --parts fronts,starts --rounds 3`

    **Exit codes**: 0 done, 1 a server, a proxy or the client failed, 2 usage, or something is missing.
    """
    chosen = names_of("--parts", parts, PARTS)
    plan = Plan(h2load.find(), rounds, duration, streams_of(streams))
    measure_and_show(root.resolve(), plan, chosen, out)


def main() -> NoReturn:
    """Runs the command and exits: 0 done, 1 failed, 2 usage or setup."""
    run(sidecar, "infermesh_perf.bench.sidecar")


if __name__ == "__main__":
    main()
