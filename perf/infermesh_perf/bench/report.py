"""The result as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from infermesh_perf.bench.alone import best
from infermesh_perf.bench.compare import Spread
from infermesh_perf.bench.results import LoadResult, ModelResult, Result

MIB = 1 << 20


def tables(result: Result) -> Iterable[Table]:
    """Speed, the share of ONNX Runtime alone, start and memory: those of them that were measured."""
    if result.models:
        yield _speed(result)
    if result.models:
        yield _latency(result)
    if any(model.alone for model in result.models):
        yield _share(result)
    if result.startup:
        yield _startup(result)


def _speed(result: Result) -> Table:
    table = Table(title="Requests per second, median of the rounds (mean latency)", caption=_crashes(result))
    table.add_column("model")
    table.add_column("load")
    for peer in result.peers:
        table.add_column(peer, justify="right")
    for other in result.others:
        table.add_column(f"{result.subject} / {other}", justify="right")
    for model in result.models:
        for load in model.loads:
            speeds = [_speed_of(load, peer) for peer in result.peers]
            factors = [str(load.ratio(result.subject, other)) for other in result.others]
            table.add_row(model.model, str(load.load), *speeds, *factors)
    return table


def _latency(result: Result) -> Table:
    table = Table(title="Latency p50 / p99 by infermesh perf, and its requests per second over h2load's")
    table.add_column("model")
    table.add_column("load")
    for peer in result.peers:
        table.add_column(peer, justify="right")
        table.add_column("over h2load", justify="right")
    for model in result.models:
        for load in model.loads:
            cells = []
            for peer in result.peers:
                p50 = Spread.of([sample.p50 for sample in load.own[peer]]).median * 1e3
                p99 = Spread.of([sample.p99 for sample in load.own[peer]]).median * 1e3
                cells += [f"{p50:.3g} / {p99:.3g} ms", str(load.agreement(peer))]
            table.add_row(model.model, str(load.load), *cells)
    return table


def _share(result: Result) -> Table:
    table = Table(title="Samples per second as a share of ONNX Runtime alone")
    table.add_column("model")
    table.add_column("load")
    table.add_column("ONNX Runtime alone", justify="right")
    for peer in result.peers:
        table.add_column(peer, justify="right")
    for model in result.models:
        for load in model.loads if model.alone else ():
            shares = [_percent(load.share(peer, model.alone)) for peer in result.peers]
            table.add_row(model.model, str(load.load), _alone(model), *shares)
    return table


def _startup(result: Result) -> Table:
    table = Table(title=f"Start and memory with {result.startup_model}")
    for heading in ("server", "start to ready", "resident at ready", "proportional at ready", "after load"):
        table.add_column(heading, justify="left" if heading == "server" else "right")
    loaded = next((m.loaded_memory for m in result.models if m.model == result.startup_model), {})
    for peer, startup in result.startup.items():
        ready = Spread.of(startup.ready_seconds)
        table.add_row(
            peer,
            f"{ready.median:.2f} s ({ready.low:.2f} - {ready.high:.2f})",
            f"{Spread.of(startup.resident).median / MIB:.0f} MiB",
            f"{Spread.of(startup.proportional).median / MIB:.0f} MiB",
            f"{loaded[peer]['proportional'] / MIB:.0f} MiB" if peer in loaded else "-",
        )
    return table


def _crashes(result: Result) -> str | None:
    crashes = [
        f"{peer} crashed {count} x under {model.model} and was started again"
        for model in result.models
        for peer, count in model.crashes.items()
    ]
    return "; ".join(crashes) or None


def _speed_of(load: LoadResult, peer: str) -> str:
    rate = Spread.of(load.rates(peer)).median
    latency = Spread.of([sample.mean for sample in load.samples[peer]]).median * 1e3
    return f"{rate:,.0f} ({latency:.2f} ms)" if rate >= 100 else f"{rate:.1f} ({latency:.0f} ms)"


def _alone(model: ModelResult) -> str:
    rate = Spread.of([best(paces).samples_per_second for paces in model.alone]).median
    return f"{rate:,.0f}/s"


def _percent(spread: Spread) -> str:
    return f"{spread.median:.0%} ({spread.low:.0%} - {spread.high:.0%})"
