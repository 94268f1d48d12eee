"""What a run found, as plain data with the ratios that are wanted of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from infermesh_perf.bench.compare import Spread, ratios
from infermesh_perf.bench.sidecar.costs import Costs
from infermesh_perf.bench.sidecar.fronts import OURS, STRAIGHT, Fronts, behind
from infermesh_perf.bench.sidecar.pairs import MUTUAL, PLAINTEXT, pair
from infermesh_perf.bench.sidecar.starts import Start
from infermesh_perf.bench.sidecar.turns import Loads, added, rates
from infermesh_perf.peers import Envoy, Sidecar

ENVOY, SIDECAR = Envoy.name, Sidecar.name


@dataclass(frozen=True)
class Ratio:
    """A ratio round by round, and what is wanted of its median; empty where it is there to compare with."""

    title: str
    spread: Spread
    wanted: str = ""


@dataclass
class Result:
    """Everything that one run found; what was not measured is empty."""

    # What every result says first, see `result_file`.
    begun: dict[str, Any]
    load_average_before: float
    # Of those that were started again, by their names.
    crashes: dict[str, int] = field(default_factory=dict)
    fronts: Fronts = field(default_factory=Fronts)
    pairs: Loads = field(default_factory=dict)
    costs: Costs = field(default_factory=dict)
    starts: dict[str, list[Start]] = field(default_factory=dict)

    def ratios(self) -> list[Ratio]:
        """All that there are."""
        return [*self._of_fronts(), *self._of_pairs(), *self._of_costs()]

    def as_json(self) -> dict[str, Any]:
        """Plain data with the ratios beside the rounds."""
        plain = asdict(self)
        ratios = {ratio.title: {**asdict(ratio.spread), "wanted": ratio.wanted} for ratio in self.ratios()}
        return {**plain.pop("begun"), **plain, "ratios": ratios}

    def _of_fronts(self) -> Iterator[Ratio]:
        for streams, ways in self.fronts.loads.items():
            straight, envoy, sidecar = (ways[name] for name in (STRAIGHT, behind(ENVOY), behind(SIDECAR)))
            # Where requests wait for each other, latency says the same as their rate.
            if streams == 1 and (shares := _shares(added(sidecar, straight), added(envoy, straight))):
                title = f"latency added at 1 stream: {SIDECAR} / {ENVOY}"
                yield Ratio(title, Spread.of(shares), "at most 0.8")
            spread = Spread.of(ratios(rates(sidecar), rates(envoy)))
            title = f"requests/s at {of(streams)}: {SIDECAR} / {ENVOY}"
            yield Ratio(title, spread, "at least 1" if streams > 1 else "")
            if OURS in ways:
                spread = Spread.of(ratios(rates(ways[OURS]), rates(envoy)))
                title = f"requests/s at {of(streams)}: {OURS} / {behind(ENVOY)}"
                yield Ratio(title, spread, "at least 2" if streams == 64 else "")

    def _of_pairs(self) -> Iterator[Ratio]:
        for streams, ways in self.pairs.items():
            for proxy, wanted in ((ENVOY, ""), (SIDECAR, "at least 0.8")):
                plain, mutual = (rates(ways[pair(proxy, how)]) for how in (PLAINTEXT, MUTUAL))
                title = f"requests/s at {of(streams)}, two of {proxy}: {MUTUAL} / {PLAINTEXT}"
                yield Ratio(title, Spread.of(ratios(mutual, plain)), wanted)
            ours, theirs = (rates(ways[pair(proxy, MUTUAL)]) for proxy in (SIDECAR, ENVOY))
            title = f"requests/s at {of(streams)}, two with {MUTUAL}: {SIDECAR} / {ENVOY}"
            yield Ratio(title, Spread.of(ratios(ours, theirs)))

    def _of_costs(self) -> Iterator[Ratio]:
        for body, proxies in self.costs.items():
            ours, theirs = ([cost.cores for cost in proxies[name]] for name in (SIDECAR, ENVOY))
            yield Ratio(f"processor time for {body}: {SIDECAR} / {ENVOY}", Spread.of(ratios(ours, theirs)))


def of(streams: int) -> str:
    """So many streams in words."""
    return "1 stream" if streams == 1 else f"{streams} streams"


def _shares(ours: list[float], theirs: list[float]) -> list[float]:
    """Of rounds in which theirs can be seen: of nothing there is no share."""
    return [our / their for our, their in zip(ours, theirs, strict=True) if their > 0]
