"""Several ways to a model under h2load, in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from infermesh_perf.bench import h2load
from infermesh_perf.bench.compare import interleave
from infermesh_perf.bench.measure import WARM_UP_SECONDS
from infermesh_perf.bench.servers import Servers
from infermesh_perf.bench.sidecar.stage import Stage
from infermesh_perf.bodies import frame, infer_request
from infermesh_perf.errors import RunError
from infermesh_perf.models import Model
from infermesh_perf.processes import Running
from infermesh_perf.rpc import check_answer

#: By streams, then by way: one sample for each round.
Loads = dict[int, dict[str, list[h2load.Sample]]]


def take_turns(
    stage: Stage,
    model: Model,
    onnx: Path,
    ways: Servers,
    loads: Mapping[int, Sequence[str]],
) -> Loads:
    """All rounds of `loads`, which says by streams which of `ways` take part: A B C A B C.

    Each way is checked first: its answer against ONNX Runtime, and a run at the most streams.
    Raises RunError when an answer is wrong, or a run fails or has refusals in it.
    """
    found: Loads = {streams: {name: [] for name in names} for streams, names in loads.items()}
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(frame(infer_request(model, model.sample(1))))

        sizes: dict[str, int] = {}

        def load(name: str, streams: int, seconds: float, way: Running) -> h2load.Sample:
            sample = h2load.run(stage.plan.tool, way.port, body, streams, seconds, warm_up=0)
            if sample.refused(sizes[name]):
                raise RunError(f"{name} refuses some requests: answers without a message")
            return sample

        def check(name: str, way: Running) -> None:
            sizes[name] = check_answer(way.port, model, onnx, 1)
            load(name, max(loads), WARM_UP_SECONDS, way)

        def measure(name: str, streams: int, way: Running) -> h2load.Sample:
            # Apart, so that every answer of the measured run is looked at.
            load(name, streams, WARM_UP_SECONDS, way)
            return load(name, streams, stage.plan.seconds, way)

        for name in dict.fromkeys(name for names in loads.values() for name in names):
            stage.step(f"check {name}")
            ways.use(name, partial(check, name))
        for turn in range(stage.plan.rounds):
            for streams, names in loads.items():
                for _, name in interleave(1, names):
                    stage.step(f"round {turn + 1}: {name} at {streams} streams")
                    found[streams][name].append(ways.use(name, partial(measure, name, streams)))
    return found


def rates(samples: Sequence[h2load.Sample]) -> list[float]:
    """Requests per second, round by round."""
    return [sample.requests_per_second for sample in samples]


def added(samples: Sequence[h2load.Sample], straight: Sequence[h2load.Sample]) -> list[float]:
    """Seconds of mean latency on top of the straight way's, round by round."""
    return [way.mean - base.mean for way, base in zip(samples, straight, strict=True)]
