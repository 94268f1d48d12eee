"""What a run found, as plain data: rounds as they came, so that a reader can compute his own summary."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from infermesh_perf.bench.alone import Pace
from infermesh_perf.bench.alone import best as best_pace
from infermesh_perf.bench.compare import Spread, ratios
from infermesh_perf.bench.h2load import Sample
from infermesh_perf.bench.own_client import OwnSample
from infermesh_perf.models import Load


@dataclass
class LoadResult:
    """One load on one model: for each peer one sample per round. Times are seconds, sizes bytes."""

    load: Load
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    #: The same with the suite's own client, right after h2load in every turn.
    own: dict[str, list[OwnSample]] = field(default_factory=dict)

    def rates(self, peer: str) -> list[float]:
        """Requests per second, round by round."""
        return [sample.requests_per_second for sample in self.samples[peer]]

    def ratio(self, subject: str, base: str) -> Spread:
        """How many times the requests per second of `base` the `subject` answers."""
        return Spread.of(ratios(self.rates(subject), self.rates(base)))

    def agreement(self, peer: str) -> Spread:
        """Requests per second that the suite's own client counts over those that h2load counts."""
        own = [sample.requests_per_second for sample in self.own[peer]]
        return Spread.of(ratios(own, self.rates(peer)))

    def share(self, peer: str, alone: list[list[Pace]]) -> Spread:
        """Samples per second of `peer` over the best of ONNX Runtime alone in the same round."""
        samples = [rate * self.load.rows for rate in self.rates(peer)]
        return Spread.of(ratios(samples, [best_pace(paces).samples_per_second for paces in alone]))


@dataclass
class ModelResult:
    """All loads on one model. `alone` has one list per round, empty unless the model is compute-bound."""

    model: str
    settings: dict[str, dict[str, int]]
    loads: list[LoadResult] = field(default_factory=list)
    alone: list[list[Pace]] = field(default_factory=list)
    loaded_memory: dict[str, dict[str, int]] = field(default_factory=dict)
    # How often a server ended by itself under load and was started again.
    crashes: dict[str, int] = field(default_factory=dict)


@dataclass
class Startup:
    """Starts of one peer with one small model: seconds until ready and bytes held then, for each round."""

    ready_seconds: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    proportional: list[int] = field(default_factory=list)


@dataclass
class Result:
    """Everything that one run of the benchmark found, with what it ran on."""

    # What every result says first, see `result_file`.
    begun: dict[str, Any]
    subject: str
    peers: list[str]
    load_average_before: float
    startup_model: str = ""
    startup: dict[str, Startup] = field(default_factory=dict)
    models: list[ModelResult] = field(default_factory=list)

    @property
    def others(self) -> list[str]:
        """The peers that the subject is compared with."""
        return [peer for peer in self.peers if peer != self.subject]

    def as_json(self) -> dict[str, Any]:
        """Plain data with the summary beside the rounds."""
        plain = asdict(self)
        plain = {**plain.pop("begun"), **plain}
        for model, written in zip(self.models, plain["models"], strict=True):
            for load, entry in zip(model.loads, written["loads"], strict=True):
                entry["ratios"] = {
                    f"{self.subject}/{other}": asdict(load.ratio(self.subject, other))
                    for other in self.others
                }
                entry["own_over_h2load"] = {peer: asdict(load.agreement(peer)) for peer in load.own}
                if model.alone:
                    entry["share_of_onnxruntime_alone"] = {
                        peer: asdict(load.share(peer, model.alone)) for peer in self.peers
                    }
        return plain
