"""What being observed costs: `python -m infermesh_perf.bench.observed`."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from infermesh_perf import cpu, machine
from infermesh_perf.bench import collector, h2load, result_file
from infermesh_perf.bench.compare import Spread, interleave, ratios
from infermesh_perf.bench.entry import Out, Root, run
from infermesh_perf.bench.scrape import first_samples, read_metrics
from infermesh_perf.bodies import frame, infer_request
from infermesh_perf.errors import RunError
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Infermesh
from infermesh_perf.processes import Command, free_ports, serving
from infermesh_perf.rpc import check_answer

PLAIN, OBSERVED = "plain", "observed"
WARM_UP_SECONDS = 1.0


def observed(
    rounds: Annotated[int, typer.Option(min=1, help="How often each of the two gets its turn.")] = 10,
    duration: Annotated[float, typer.Option(min=1, help="Seconds of each measured run, whole ones.")] = 5,
    streams: Annotated[int, typer.Option(min=1, help="Requests in flight.")] = 64,
    rate: Annotated[int, typer.Option(min=1, help="One of so many requests is traced.")] = 100,
    scrape: Annotated[float, typer.Option(min=0.1, help="Seconds between two scrapes of /metrics.")] = 1,
    model: Annotated[str, typer.Option(help="The model that both serve.")] = "perceptron",
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure a server that is scraped and traced beside the same server that is not.

    Both are up all the time and take turns under h2load on one connection. The observed one has its metrics
    read every second and sends its traces over OTLP to a collector on the same machine, which decodes and
    counts them: the collector's own work is part of what is measured. The ratio is taken round by round and
    shown with its spread.

    **Exit codes**: 0 done, 1 a server or the client failed, 2 usage, or something is missing.
    """
    root = root.resolve()
    options = {
        "rounds": rounds,
        "duration_seconds": duration,
        "streams": streams,
        "trace_rate": rate,
        "scrape_seconds": scrape,
        "model": model,
    }
    result = result_file.begin(options, Infermesh(root).versions())
    result["load_average_before"] = machine.load_average()
    result |= measure(root, model, rounds, duration, streams, rate, scrape)
    _show(Console(), result, result_file.save(result, "observed", root, out))


def measure(
    root: Path, model_name: str, rounds: int, duration: float, streams: int, rate: int, scrape: float
) -> dict[str, Any]:
    """All rounds. Raises RunError when something fails, or when no span arrives."""
    model, tool = MODELS[model_name], h2load.find()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        onnx, body = model.save(folder), folder / "body.bin"
        body.write_bytes(frame(infer_request(model, model.sample(1))))
        sink = stack.enter_context(collector.collecting())
        (metrics,) = free_ports(1)
        plain = Infermesh(root).command(model, onnx)
        commands = {PLAIN: plain, OBSERVED: _observed(plain, metrics, sink, rate)}
        servers = {name: stack.enter_context(serving(command)) for name, command in commands.items()}
        for server in servers.values():
            check_answer(server.port, model, onnx, 1)
        rates: dict[str, list[float]] = {name: [] for name in servers}
        spent: dict[str, list[float]] = {name: [] for name in servers}
        load = partial(h2load.run, tool, body=body, streams=streams, warm_up=0)
        for _, name in interleave(rounds, list(servers)):
            server = servers[name]
            with _scraping(metrics, scrape if name == OBSERVED else None):
                load(port=server.port, seconds=WARM_UP_SECONDS)
                before = cpu.of_process(server.pid)
                sample = load(port=server.port, seconds=duration)
                spent[name].append((cpu.of_process(server.pid) - before) / sample.succeeded)
                rates[name].append(sample.requests_per_second)
        counts = _counts(metrics)
        spans = collector.received(sink)
    if not spans:
        raise RunError("no span arrived at the collector: what was measured is not what was meant")
    return {
        "requests_per_second": rates,
        "ratio": asdict(Spread.of(ratios(rates[OBSERVED], rates[PLAIN]))),
        # Of the server's process alone: steadier than the rate on a machine that does other things, too.
        "cpu_seconds_per_request": spent,
        "cpu_ratio": asdict(Spread.of(ratios(spent[OBSERVED], spent[PLAIN]))),
        "spans": {"received": spans, **counts},
    }


def _observed(plain: Command, metrics: int, sink: int, rate: int) -> Command:
    (port,) = free_ports(1)
    kept = [argument for argument in plain.arguments if argument != "--no-metrics"]
    kept[kept.index("--grpc-port") + 1] = str(port)
    tracing = (
        "level=TIMESTAMPS",
        f"rate={rate}",
        f"opentelemetry,url=http://127.0.0.1:{sink}{collector.PATH}",
    )
    flags = [flag for setting in tracing for flag in ("--trace-config", setting)]
    return replace(
        plain,
        arguments=(*kept, "--metrics-address", "127.0.0.1", "--metrics-port", str(metrics), *flags),
        grpc_port=port,
        log=plain.log.with_name("observed.log"),
    )


@contextmanager
def _scraping(port: int, every: float | None) -> Iterator[None]:
    """Reads the metrics from time to time, as Prometheus does; not at all without an interval."""
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(every):
            read_metrics(port)

    thread = threading.Thread(target=scrape)
    if every is not None:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if every is not None:
            thread.join()


def _counts(port: int) -> dict[str, int]:
    """What the server says about its spans."""
    samples = first_samples(port)
    return {what: int(samples[f"infermesh_spans_{what}_total"]) for what in ("exported", "dropped")}


def _show(console: Console, result: dict[str, Any], path: Path) -> None:
    for name, rates in result["requests_per_second"].items():
        spread = Spread.of(rates)
        console.print(f"{name:<9}{spread.median:>10,.0f} requests/s ({spread.low:,.0f} - {spread.high:,.0f})")
    ratio = Spread(**result["ratio"])
    processor = Spread(**result["cpu_ratio"])
    for what, found in (("requests/s", ratio), ("CPU per request", processor)):
        shown = f"{found.median:.3f} ({found.low:.3f} - {found.high:.3f})"
        console.print(f"observed / plain, {what}: {shown}", highlight=False)
    console.print(f"spans: {result['spans']}", highlight=False)
    console.print(f"written to {path}", highlight=False, soft_wrap=True)


def main() -> NoReturn:
    """Runs the command and exits."""
    run(observed, "infermesh_perf.bench.observed")


if __name__ == "__main__":
    main()
