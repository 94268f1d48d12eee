"""What was found about one chain: turns as they came, and the ratios that they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from infermesh.proto.inference import grpc_service_pb2 as pb

from infermesh_perf.bench.chains import Chain
from infermesh_perf.bench.compare import Spread, ratios
from infermesh_perf.errors import RunError

MICRO = 1e6
NANO_IN_MICRO = 1e3


@dataclass(frozen=True)
class Spent:
    """By a model's own account, microseconds for each of its requests; `total` is from arrival to answer."""

    requests: int
    total: float
    queue: float
    input: float
    infer: float
    output: float

    @property
    def compute(self) -> float:
        """Bringing the inputs to the model, running it, taking the outputs apart."""
        return self.input + self.infer + self.output

    @classmethod
    def between(cls, before: pb.ModelStatistics, after: pb.ModelStatistics) -> Spent:
        """What happened between two looks. Raises RunError when nothing did."""
        old, new = before.inference_stats, after.inference_stats
        requests = new.success.count - old.success.count
        if not requests:
            raise RunError(f"the server counted no request to {after.name}: nothing was measured")

        def each(phase: str) -> float:
            first: pb.StatisticDuration = getattr(old, phase)
            last: pb.StatisticDuration = getattr(new, phase)
            return (last.ns - first.ns) / max(last.count - first.count, 1) / NANO_IN_MICRO

        phases = ("success", "queue", "compute_input", "compute_infer", "compute_output")
        return cls(requests, *map(each, phases))


@dataclass(frozen=True)
class Turn:
    """One model under load once; `spent` is its own account and, of an ensemble, those of its members."""

    requests_per_second: float
    spent: dict[str, Spent]


@dataclass
class Found:
    """All turns on one server, by the requests in flight and the model's name."""

    chain: Chain
    turns: dict[int, dict[str, list[Turn]]] = field(default_factory=dict)

    def rates(self, streams: int, model: str) -> list[float]:
        """Requests per second, round by round."""
        return [turn.requests_per_second for turn in self.turns[streams][model]]

    def one_after_another(self, streams: int) -> list[float]:
        """Chains per second of a client that calls each member itself, in turn."""
        members = [self.rates(streams, member.name) for member in self.chain.members]
        return [1 / sum(1 / rate for rate in of_a_round) for of_a_round in zip(*members, strict=True)]

    def whole(self) -> list[Spent]:
        """The ensemble's own account of one request at a time, round by round."""
        name = self.chain.ensemble.name
        return [turn.spent[name] for turn in self.turns[1][name]]

    def computed(self) -> list[float]:
        """Microseconds that the members compute for a request of the ensemble, one at a time."""
        members = [member.name for member in self.chain.members]
        return [
            sum(turn.spent[name].compute for name in members)
            for turn in self.turns[1][self.chain.ensemble.name]
        ]

    def computed_alone(self) -> list[float]:
        """The same where a client calls one member again and again, whose weights stay in the caches."""
        turns = (
            [turn.spent[it.name].compute for turn in self.turns[1][it.name]] for it in self.chain.members
        )
        return [sum(of_a_round) for of_a_round in zip(*turns, strict=True)]

    def ratios(self) -> dict[str, Spread]:
        """By what they say; those of rates for each number of requests in flight."""
        durations = [spent.total for spent in self.whole()]
        found = {
            "duration / compute": _spread(durations, self.computed()),
            "duration / compute alone": _spread(durations, self.computed_alone()),
        }
        for streams in self.turns:
            rates = self.rates(streams, self.chain.ensemble.name)
            alone, in_one = self.one_after_another(streams), self.rates(streams, self.chain.in_one.name)
            found[f"rate / one after another, {streams}"] = _spread(rates, alone)
            found[f"rate / in one model, {streams}"] = _spread(rates, in_one)
        return found

    def as_json(self) -> dict[str, Any]:
        """Plain data with the ratios beside the turns."""
        return {
            "turns": {
                str(streams): {name: [asdict(turn) for turn in turns] for name, turns in by_model.items()}
                for streams, by_model in self.turns.items()
            },
            "ratios": {name: asdict(spread) for name, spread in self.ratios().items()},
        }


def latency(rate: float) -> float:
    """Microseconds from one request to the next, of a client that has one in flight."""
    return MICRO / rate


def _spread(subject: Sequence[float], base: Sequence[float]) -> Spread:
    return Spread.of(ratios(subject, base))
