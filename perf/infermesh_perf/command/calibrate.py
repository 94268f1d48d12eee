"""`infermesh perf calibrate`: what this machine can send, and how exactly, with no server to wait for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import Histogram
from rich.console import Console
from rich.table import Table

from infermesh_perf import machine
from infermesh_perf.analysis import text as texts
from infermesh_perf.bench.entry import wide_console
from infermesh_perf.command import values
from infermesh_perf.command.options import MANY
from infermesh_perf.command.provenance import cores
from infermesh_perf.errors import SetupError
from infermesh_perf.load.calibrate import against_null
from infermesh_perf.load.plan import Sending
from infermesh_perf.load.totals import Totals
from infermesh_perf.results.document import Load

EXAMPLES = """\b
Examples:
  infermesh perf calibrate
  infermesh perf calibrate --bytes 4194304 --threads 2 -z 2s
  infermesh perf calibrate --json > calibration.json

A null server in the same process answers every request at once with the same bytes. What is reached here is
the most that any figure of this machine can be: `perf run` does the same in half a second with your own
requests, and calls a run invalid that comes too near to it.
"""

CONCURRENCIES = (1, 16, 64)
RATES = (1_000, 20_000)
PROTOCOLS = {
    "grpc": load_pb2.PROTOCOL_GRPC,
    "grpc stream": load_pb2.PROTOCOL_GRPC_STREAM,
    "http": load_pb2.PROTOCOL_HTTP,
}


@dataclass(frozen=True)
class Row:
    """One load. Times are nanoseconds; `lateness_p99_ns` is None where nothing is due at a moment."""

    protocol: str
    load: str
    answers_per_second: float
    latency_p50_ns: int
    latency_p99_ns: int
    lateness_p99_ns: int | None
    client_cpu: float


def calibrate(
    size: Annotated[
        int,
        typer.Option(
            "--bytes", min=1, max=1 << 30, help="Size of request and answer. Example: --bytes 4194304"
        ),
    ] = 300,
    threads: Annotated[
        int,
        typer.Option(min=0, max=MANY, help="Threads that send; 0: half of the cores. Example: --threads 2"),
    ] = 0,
    duration: Annotated[
        str, typer.Option("-z", "--duration", metavar="TIME", help="For each row. Example: -z 5s")
    ] = "1s",
    as_json: Annotated[
        bool, typer.Option("--json", help="The table as JSON. Example: --json > calibration.json")
    ] = False,
) -> None:
    """Find out what this machine can send and time at most.

    Closed loops say how many requests per second the client manages, open loops how late it is.
    """
    seconds = values.duration("-z", duration)
    if seconds is None:
        raise SetupError("-z: found an empty text, expected a time such as 5s")
    sending = Sending(threads=threads or max(cores() // 2, 1))
    errors = Console(stderr=True, highlight=False)
    rows = []
    for protocol in PROTOCOLS:
        for load in _loads():
            with errors.status(f"{protocol}, {load}"):
                rows.append(_row(protocol, load, size, sending, seconds))
    if as_json:
        described = {"machine": machine.describe(), "bytes": size, "threads": sending.threads}
        typer.echo(json.dumps({**described, "rows": [asdict(row) for row in rows]}, indent=1))
        return
    _show(rows, size, sending)


def _loads() -> list[Load]:
    closed = [Load(mode="concurrency", value=value) for value in CONCURRENCIES]
    return closed + [Load(mode="rate", value=value, distribution="poisson") for value in RATES]


def _row(protocol: str, load: Load, size: int, sending: Sending, seconds: float) -> Row:
    stream = protocol == "grpc stream"
    body = bytes(size)
    # On a stream each answer is looked into: it must be one, with nothing in it.
    answer = b"" if stream else body
    workload = load_pb2.Workload(
        name="null",
        path="/v2/models/null/infer" if protocol == "http" else "/inference.GRPCInferenceService/ModelInfer",
        weight=1,
        scripts=[load_pb2.Script(payloads=[load_pb2.Payload(body=body)])],
    )
    totals = against_null([workload], PROTOCOLS[protocol], answer, load, sending, seconds)
    return _told(protocol, load, totals)


def _told(protocol: str, load: Load, totals: Totals) -> Row:
    latency: Histogram = totals.all.latency
    return Row(
        protocol=protocol,
        load=str(load),
        answers_per_second=totals.throughput,
        latency_p50_ns=latency.percentile(50),
        latency_p99_ns=latency.percentile(99),
        lateness_p99_ns=None if load.mode == "concurrency" else totals.lateness.percentile(99),
        client_cpu=totals.client_cpu,
    )


def _show(rows: list[Row], size: int, sending: Sending) -> None:
    console = wide_console()
    table = Table(box=None, pad_edge=False, title=None)
    for heading in ("protocol", "load", "answers/s", "p50", "p99", "late p99", "client CPU"):
        table.add_column(heading, justify="left" if heading in ("protocol", "load") else "right")
    for row in rows:
        late = "" if row.lateness_p99_ns is None else texts.duration(row.lateness_p99_ns)
        table.add_row(
            row.protocol,
            row.load,
            texts.rate(row.answers_per_second),
            texts.duration(row.latency_p50_ns),
            texts.duration(row.latency_p99_ns),
            late,
            texts.share(row.client_cpu),
        )
    console.print(table, highlight=False)
    threads = f"{sending.threads} thread{'s' if sending.threads > 1 else ''}"
    console.print(
        f"\nRequests of {size:,} bytes, {threads} that send, {cores()} cores; the server shares them.",
        highlight=False,
    )
