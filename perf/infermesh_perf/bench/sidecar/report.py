"""The result as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from infermesh_perf.bench.compare import Spread
from infermesh_perf.bench.h2load import Sample
from infermesh_perf.bench.sidecar.costs import BODIES
from infermesh_perf.bench.sidecar.fronts import STRAIGHT, behind
from infermesh_perf.bench.sidecar.result import ENVOY, SIDECAR, Result, of
from infermesh_perf.bench.sidecar.turns import Loads, added, rates

MIB = 1 << 20

#: Where a proxy is all that stands between the way and the straight one.
BEHIND_ONE = (behind(ENVOY), behind(SIDECAR))


def tables(result: Result) -> Iterable[Table]:
    """Those of what was measured, then all ratios."""
    if result.fronts.loads:
        yield _speed(
            "Behind a proxy: requests per second, median of the rounds (mean latency, added by the proxy)",
            result.fronts.loads,
        )
    if result.pairs:
        yield _speed(
            "Behind two proxies: requests per second, median of the rounds (mean latency)", result.pairs
        )
    if result.costs:
        yield _costs(result)
    if result.starts:
        yield _starts(result)
    if result.ratios():
        yield _ratios(result)


def _speed(title: str, loads: Loads) -> Table:
    table = Table(title=title)
    table.add_column("way")
    for streams in loads:
        table.add_column(of(streams), justify="right")
    names = dict.fromkeys(name for ways in loads.values() for name in ways)
    for name in names:
        table.add_row(name, *(_cell(ways, name) if name in ways else "" for ways in loads.values()))
    return table


def _cell(ways: Mapping[str, Sequence[Sample]], name: str) -> str:
    rate = Spread.of(rates(ways[name])).median
    mean = Spread.of([sample.mean for sample in ways[name]]).median * 1e3
    if name not in BEHIND_ONE:
        return f"{rate:,.0f} ({mean:.2f} ms)"
    more = Spread.of(added(ways[name], ways[STRAIGHT])).median * 1e3
    return f"{rate:,.0f} ({mean:.2f} ms, {more:+.2f})"


def _costs(result: Result) -> Table:
    table = Table(title="What a proxy takes for 1,000 requests per second, both ways a body of this size")
    for heading in ("body", "measured at", "proxy", "cores", "resident", "p50 / p99 through it"):
        table.add_column(heading, justify="left" if heading in ("body", "proxy") else "right")
    rate_of = {body.name: body.rate for body in BODIES}
    for body, proxies in result.costs.items():
        for name, costs in proxies.items():
            cores = Spread.of([cost.cores for cost in costs])
            p50, p99 = (
                Spread.of([getattr(cost, it) for cost in costs]).median * 1e3 for it in ("p50", "p99")
            )
            table.add_row(
                body,
                f"{rate_of[body]:,.0f}/s",
                name,
                f"{cores.median:.3f} ({cores.low:.3f} - {cores.high:.3f})",
                f"{max(cost.resident for cost in costs) / MIB:.0f} MiB",
                f"{p50:.2f} / {p99:.2f} ms",
            )
    return table


def _starts(result: Result) -> Table:
    table = Table(title="Start and memory", caption="wanted of the sidecar: less than 1 s and 64 MB")
    for heading in ("proxy", "start to the first answer", "resident then", "after load"):
        table.add_column(heading, justify="left" if heading == "proxy" else "right")
    for name, starts in result.starts.items():
        ready = Spread.of([start.ready_seconds for start in starts])
        loaded = result.fronts.loaded_memory.get(name)
        table.add_row(
            name,
            f"{ready.median:.2f} s ({ready.low:.2f} - {ready.high:.2f})",
            f"{Spread.of([start.resident for start in starts]).median / MIB:.0f} MiB",
            f"{loaded['resident'] / MIB:.0f} MiB" if loaded else "-",
        )
    return table


def _ratios(result: Result) -> Table:
    crashes = [f"{name} crashed {count} x and was started again" for name, count in result.crashes.items()]
    table = Table(title="Ratios, round by round", caption="; ".join(crashes) or None)
    table.add_column("ratio")
    table.add_column("median (lowest - highest)", justify="right")
    table.add_column("wanted")
    for ratio in result.ratios():
        table.add_row(ratio.title, str(ratio.spread), ratio.wanted)
    return table
