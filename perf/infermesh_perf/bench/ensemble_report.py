"""What was found about ensembles, as tables for a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from rich.table import Table

from infermesh_perf.bench.compare import Spread, ratios
from infermesh_perf.bench.ensemble_results import Found, latency

#: By chain and server.
All = Mapping[str, Mapping[str, Found]]


def tables(found: All, target: float) -> Iterable[Table]:
    """Where the time goes on the server, and what a client sees."""
    yield _server(found, target)
    yield _client(found)


def _server(found: All, target: float) -> Table:
    table = Table(
        title="On the server, one request at a time: microseconds of a request, median of the rounds",
        caption=f"The aim is {target} times the compute at the most. The rest is the way between members.",
    )
    parts = ("queue", "input", "infer", "output")
    for heading in ("chain", "server", "arrival to answer", *parts, "rest", "/ compute", "/ compute alone"):
        table.add_column(heading, justify="left" if heading in ("chain", "server") else "right")
    for chain, servers in found.items():
        for server, of in servers.items():
            whole = of.whole()
            members = [turn.spent for turn in of.turns[1][of.chain.ensemble.name]]
            names = [member.name for member in of.chain.members]
            spent = [
                statistics.median(sum(getattr(turn[name], part) for name in names) for turn in members)
                for part in parts
            ]
            total = statistics.median(each.total for each in whole)
            factors = of.ratios()
            table.add_row(
                chain,
                server,
                *(f"{part:.1f}" for part in (total, *spent, total - sum(spent))),
                str(factors["duration / compute"]),
                str(factors["duration / compute alone"]),
            )
    return table


def _client(found: All) -> Table:
    table = Table(title="By the client: requests per second, median of the rounds (microseconds of one)")
    for heading in ("chain", "server"):
        table.add_column(heading)
    bases = ("one after another", "in one model")
    for heading in ("in flight", "ensemble", *bases, *(f"/ {base}" for base in bases), "/ the first server"):
        table.add_column(heading, justify="right")
    for chain, servers in found.items():
        first = next(iter(servers.values()))
        for server, of in servers.items():
            factors = of.ratios()
            for streams in of.turns:
                ensemble = of.rates(streams, of.chain.ensemble.name)
                rates = (ensemble, of.one_after_another(streams), of.rates(streams, of.chain.in_one.name))
                beside = Spread.of(ratios(ensemble, first.rates(streams, of.chain.ensemble.name)))
                table.add_row(
                    chain,
                    server,
                    str(streams),
                    *(_rate(each, streams) for each in rates),
                    *(str(factors[f"rate / {base}, {streams}"]) for base in bases),
                    "-" if of is first else str(beside),
                )
    return table


def _rate(rates: list[float], streams: int) -> str:
    rate = Spread.of(rates).median
    return f"{rate:,.0f} ({latency(rate):.0f})" if streams == 1 else f"{rate:,.0f}"
