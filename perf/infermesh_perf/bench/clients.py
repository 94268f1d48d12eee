"""The benchmark of load generators: `python -m infermesh_perf.bench.clients`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from infermesh_perf import machine
from infermesh_perf.bench import h2load, own_client, result_file
from infermesh_perf.bench.compare import Spread, interleave, ratios
from infermesh_perf.bench.entry import Out, Root, run
from infermesh_perf.bench.ratio_table import ratio_table
from infermesh_perf.bodies import frame, infer_request
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Infermesh, PerfAnalyzer
from infermesh_perf.processes import serving

STREAMS = (1, 16, 64)
RATE = 20_000.0
WARM_UP_SECONDS = 1.0
#: Bytes of the null server's answers.
ANSWER = 100

H2LOAD = "h2load"
OWN = own_client.NAME
PERF_ANALYZER = "perf_analyzer"

Rates = dict[str, dict[str, list[float]]]


def clients(
    rounds: Annotated[int, typer.Option(min=1, help="How often every client gets its turn.")] = 5,
    duration: Annotated[float, typer.Option(min=1, help="Seconds of each measured run, whole ones.")] = 3,
    perf_analyzer: Annotated[bool, typer.Option(help="Whether to measure perf_analyzer beside it.")] = True,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure what load generators can send: `infermesh perf` beside h2load and perf_analyzer.

    On a null server, a process of its own that answers at once, the client is the limit. On infermesh with a
    small perceptron closed loops of different clients must agree. An open loop shows how late the client is.
    All take turns, and ratios are taken round by round.

    **Exit codes**: 0 done, 1 a server or a client failed, 2 usage, or something is missing on this machine.
    """
    root = root.resolve()
    tool = h2load.find()
    analyzer = PerfAnalyzer(root) if perf_analyzer else None
    server = Infermesh(root)
    for installable in (server, analyzer):
        if installable is not None:
            installable.install()
    options = {"rounds": rounds, "duration_seconds": duration, "streams": list(STREAMS), "rate": RATE}
    versions = result_file.versions(tool, [server])
    if analyzer is not None:
        versions[PERF_ANALYZER] = analyzer.versions()
    result = result_file.begin(options, versions)
    result["load_average_before"] = machine.load_average()
    model = MODELS["perceptron"]
    message = infer_request(model, model.sample(1))
    rates: Rates = {}
    lateness: list[dict[str, Any]] = []
    with ExitStack() as stack:
        body = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "body"
        body.write_bytes(frame(message))
        null = stack.enter_context(_null_server())
        path = model.save(root / ".peers" / "models")
        port = stack.enter_context(serving(server.command(model, path))).port

        def h2load_at(where: int, streams: int) -> float:
            return h2load.run(tool, where, body, streams, duration, WARM_UP_SECONDS).requests_per_second

        def own_at(where: int, streams: int) -> float:
            sample = own_client.closed(where, message, streams, duration, WARM_UP_SECONDS)
            return sample.requests_per_second

        turns: dict[str, dict[str, Callable[[], float]]] = {}
        for where, name in ((null, "null server"), (port, "infermesh")):
            for streams in STREAMS:
                of_load = turns.setdefault(f"{name}, {streams} streams", {})
                of_load[OWN] = partial(own_at, where, streams)
                of_load[H2LOAD] = partial(h2load_at, where, streams)
        if analyzer is not None:
            found = analyzer
            turns["infermesh, 64 streams"][PERF_ANALYZER] = lambda: (
                found.run(port, model.name, 64, stability_percent=50).inferences_per_second
            )
        for turn in range(rounds):
            for load, ways in turns.items():
                for _, name in interleave(1, list(ways)):
                    typer.echo(f"round {turn + 1}: {load}, {name}", err=True)
                    rates.setdefault(load, {}).setdefault(name, []).append(ways[name]())
            typer.echo(f"round {turn + 1}: open loop, {RATE:,.0f}/s", err=True)
            lateness.append(asdict(own_client.opened(null, message, RATE, duration, WARM_UP_SECONDS)))
    result |= {"requests_per_second": rates, "open_loop": lateness, "ratios": _ratios(rates)}
    path = result_file.save(result, "clients", root, out)
    for table in _tables(result):
        Console().print(table)
    typer.echo(f"written to {path}")


@contextmanager
def _null_server() -> Iterator[int]:
    """Its port; it is a process of its own, as any server is."""
    code = (
        "import sys; from infermesh_native import NullServer; "
        f"server = NullServer(0, protocol='grpc', answer=bytes({ANSWER})); "
        "print(server.port, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            # It ends with its input.
            process.stdin.close()


def _ratios(rates: Rates) -> dict[str, dict[str, Any]]:
    return {
        f"{load}: {OWN} / {other}": asdict(Spread.of(ratios(ways[OWN], ways[other])))
        for load, ways in rates.items()
        for other in ways
        if other != OWN
    }


def _tables(result: dict[str, Any]) -> Iterator[Table]:
    speed = Table(title="Requests per second of clients, median of the rounds")
    speed.add_column("server and load")
    names = (OWN, H2LOAD, PERF_ANALYZER)
    for name in names:
        speed.add_column(name, justify="right")
    for load, ways in result["requests_per_second"].items():
        speed.add_row(
            load, *(f"{Spread.of(ways[name]).median:,.0f}" if name in ways else "" for name in names)
        )
    yield speed
    yield ratio_table(result["ratios"])
    late = Spread.of([sample["lateness_p99"] * 1e6 for sample in result["open_loop"]])
    lateness = Table(title=f"Open loop at {RATE:,.0f}/s on the null server")
    lateness.add_column("late, p99")
    lateness.add_row(f"{late.median:.0f} us ({late.low:.0f} - {late.high:.0f})")
    yield lateness


def main() -> NoReturn:
    """Runs the command and exits: 0 done, 1 failed, 2 usage or setup."""
    run(clients, "infermesh_perf.bench.clients")


if __name__ == "__main__":
    main()
