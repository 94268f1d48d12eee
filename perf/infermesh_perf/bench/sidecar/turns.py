"""Several ways to a model under h2load, in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from infermesh_perf.bench import h2load
from infermesh_perf.bench.compare import interleave
from infermesh_perf.bench.measure import WARM_UP_SECONDS
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
    ways: Mapping[str, Running],
    loads: Mapping[int, Sequence[str]],
) -> Loads:
    """All rounds of `loads`, which says by streams which ways take part: A B C A B C.

    Each way is checked first: its answer against ONNX Runtime, and a run at the most streams for refusals.
    Raises RunError when an answer is wrong or a run fails.
    """
    found: Loads = {streams: {name: [] for name in names} for streams, names in loads.items()}
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(frame(infer_request(model, model.sample(1))))
        load = partial(h2load.run, stage.plan.tool, body=body)
        for name, way in ways.items():
            stage.step(f"check {name}")
            size = check_answer(way.port, model, onnx, 1)
            if load(way.port, streams=max(loads), seconds=WARM_UP_SECONDS, warm_up=0).refused(size):
                raise RunError(f"{name} refuses some requests: answers without a message")
        for turn in range(stage.plan.rounds):
            for streams, names in loads.items():
                for _, name in interleave(1, names):
                    stage.step(f"round {turn + 1}: {name} at {streams} streams")
                    port, seconds = ways[name].port, stage.plan.seconds
                    sample = load(port, streams=streams, seconds=seconds, warm_up=WARM_UP_SECONDS)
                    found[streams][name].append(sample)
    return found


def rates(samples: Sequence[h2load.Sample]) -> list[float]:
    """Requests per second, round by round."""
    return [sample.requests_per_second for sample in samples]


def added(samples: Sequence[h2load.Sample], straight: Sequence[h2load.Sample]) -> list[float]:
    """Seconds of mean latency on top of the straight way's, round by round."""
    return [way.mean - base.mean for way, base in zip(samples, straight, strict=True)]
