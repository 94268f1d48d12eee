"""What models did between two answers to ModelStatistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from infermesh.proto.inference import grpc_service_pb2 as pb

from infermesh_perf.hops.server_times import ServerTimes, mean_times

#: Name and version of a model.
Key = tuple[str, str]

STAGES = ("success", "queue", "compute_input", "compute_infer", "compute_output")


@dataclass(frozen=True)
class ModelDifference:
    """One version of one model; an ensemble and each of its members have their own.

    An ensemble's queue and compute are the sums over its members, as Triton and infermesh count them. `rows`
    and `executions` leave out what a cache answered; `batch_sizes` counts executions by their rows.
    """

    name: str
    version: str
    #: None if no request succeeded.
    times: ServerTimes | None
    failed: int
    cache_hits: int
    rows: int
    executions: int
    batch_sizes: dict[int, int]


@dataclass(frozen=True)
class Difference:
    """All models that both answers tell of, and why the others are missing."""

    models: dict[Key, ModelDifference] = field(default_factory=dict)
    #: One sentence for each version of which nothing can be said.
    missing: dict[Key, str] = field(default_factory=dict)

    def of(self, name: str, version: str = "") -> list[ModelDifference]:
        """A version of a model, or all of them without one."""
        return [it for key, it in self.models.items() if _means(key, name, version)]

    def times(self, asked: Iterable[Key]) -> ServerTimes | None:
        """Mean over the requests to some models, name and version (or none); None if one of them is missing.

        Counts are the server's: they hold the requests of other clients, too.
        """
        wanted = list(dict.fromkeys(asked))
        if self.reason(wanted):
            return None
        return mean_times(it.times for it in self._rows(wanted) if it.times)

    def batch_sizes(self, asked: Iterable[Key]) -> dict[int, int]:
        """Executions by batch size, ascending, over the versions of these models."""
        sizes: Counter[int] = Counter()
        for it in self._rows(asked):
            sizes.update(it.batch_sizes)
        return dict(sorted(sizes.items()))

    def reason(self, asked: Iterable[Key]) -> str:
        """Why `times` of these models is None, in one sentence; empty if it need not be."""
        for name, version in asked:
            for key, sentence in self.missing.items():
                if _means(key, name, version):
                    return sentence
            if not self.of(name, version):
                shown = f"{name!r} version {version!r}" if version else repr(name)
                return f"ModelStatistics does not tell of model {shown}"
        return ""

    def _rows(self, asked: Iterable[Key]) -> list[ModelDifference]:
        # A model may be asked for twice, with and without its version: it counts once.
        rows = {(it.name, it.version): it for name, version in asked for it in self.of(name, version)}
        return list(rows.values())


def difference(before: pb.ModelStatisticsResponse, after: pb.ModelStatisticsResponse) -> Difference:
    """What happened between two answers of the same server to ModelStatistics.

    A version that was loaded meanwhile counts from zero. One whose counters went backwards, since the server
    or the model was started anew, and one that is gone, are in `missing`.
    """
    old = {(it.name, it.version): it for it in before.model_stats}
    new = {(it.name, it.version): it for it in after.model_stats}
    result = Difference()
    for key, last in new.items():
        first = old.get(key, pb.ModelStatistics())
        if _went_backwards(first, last):
            result.missing[key] = (
                f"the counters of model {key[0]!r} version {key[1]!r} went backwards: "
                "the server or the model was started anew meanwhile"
            )
        else:
            result.models[key] = _between(first, last)
    for key in old.keys() - new.keys():
        result.missing[key] = f"model {key[0]!r} version {key[1]!r} was unloaded meanwhile"
    return result


def _means(key: Key, name: str, version: str) -> bool:
    return key[0] == name and version in ("", key[1])


def _between(first: pb.ModelStatistics, last: pb.ModelStatistics) -> ModelDifference:
    old, new = first.inference_stats, last.inference_stats
    executed = _executions(last)
    executed.subtract(_executions(first))
    return ModelDifference(
        name=last.name,
        version=last.version,
        times=_times(old, new),
        failed=new.fail.count - old.fail.count,
        cache_hits=new.cache_hit.count - old.cache_hit.count,
        rows=last.inference_count - first.inference_count,
        executions=last.execution_count - first.execution_count,
        batch_sizes={size: count for size, count in sorted(executed.items()) if count},
    )


def _times(old: pb.InferStatistics, new: pb.InferStatistics) -> ServerTimes | None:
    requests = new.success.count - old.success.count
    if not requests:
        return None

    def mean(stage: str) -> float:
        # By all requests, also where a cache spared some of them the stage: only then do stages add up.
        nanoseconds: int = getattr(new, stage).ns - getattr(old, stage).ns
        return nanoseconds / requests

    return ServerTimes("ModelStatistics", requests, *map(mean, STAGES))


def _executions(model: pb.ModelStatistics) -> Counter[int]:
    return Counter({it.batch_size: it.compute_infer.count for it in model.batch_stats})


def _went_backwards(first: pb.ModelStatistics, last: pb.ModelStatistics) -> bool:
    counts = [(first.inference_count, last.inference_count), (first.execution_count, last.execution_count)]
    for stage in (*STAGES, "fail", "cache_hit"):
        old: pb.StatisticDuration = getattr(first.inference_stats, stage)
        new: pb.StatisticDuration = getattr(last.inference_stats, stage)
        counts += [(old.count, new.count), (old.ns, new.ns)]
    executed = _executions(last)
    counts += [(count, executed[size]) for size, count in _executions(first).items()]
    return any(later < earlier for earlier, later in counts)
