"""Takes the measurements: all servers of one model are up at once, one at a time is under load."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from infermesh_perf import alone, h2load
from infermesh_perf.bodies import frame, infer_request
from infermesh_perf.compare import interleave
from infermesh_perf.errors import RunError
from infermesh_perf.models import Load, Model
from infermesh_perf.peers import Peer
from infermesh_perf.processes import Running, serving
from infermesh_perf.results import LoadResult, ModelResult, Startup
from infermesh_perf.rpc import check_answer

# Seconds of load before each measured run and in the checked run before the first of them.
WARM_UP_SECONDS = 1.0
# Seconds for each way of calling ONNX Runtime alone.
ALONE_SECONDS = 0.5

Step = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What every model of a run has in common. `seconds` is the measured time of each run of the client."""

    tool: str
    rounds: int
    seconds: float
    streams: tuple[int, ...]

    def loads(self, model: Model) -> tuple[Load, ...]:
        """The model's own loads, or one row on each of the chosen numbers of streams."""
        return model.loads or tuple(Load(1, streams) for streams in self.streams)

    def steps(self, model: Model, peers: int) -> int:
        """How often `measure_model` reports progress."""
        checks = peers * len(self.loads(model))
        return checks * (1 + self.rounds) + (self.rounds if model.compute_bound else 0)


def measure_model(plan: Plan, model: Model, path: Path, peers: Sequence[Peer], step: Step) -> ModelResult:
    """All rounds of all loads on one model; `step` is told what comes next before each of them.

    Raises RunError when a server does not come up, answers wrongly at any load, or a run fails.
    """
    result = ModelResult(model.name, {peer.name: peer.settings(model) for peer in peers})
    with ExitStack() as stack:
        bodies = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {peer.name: stack.enter_context(serving(peer.command(model, path))) for peer in peers}
        for load in plan.loads(model):
            _body(bodies, load).write_bytes(frame(infer_request(model, model.sample(load.rows))))
            result.loads.append(LoadResult(load, {name: [] for name in servers}))
            for name, server in servers.items():
                step(f"{model.name}: check {name} at {load}")
                _check(plan, model, path, server, load, _body(bodies, load), name)
        for turn in range(plan.rounds):
            for each in result.loads:
                for _, name in interleave(1, list(servers)):
                    step(f"{model.name}: round {turn + 1}, {name} at {each.load}")
                    body = _body(bodies, each.load)
                    each.samples[name].append(_run(plan, model, servers[name], each.load, body))
            if model.compute_bound:
                step(f"{model.name}: round {turn + 1}, ONNX Runtime alone")
                cores = len(os.sched_getaffinity(0))
                result.alone.append(alone.in_process(path, model, ALONE_SECONDS, cores))
        result.loaded_memory = {name: asdict(server.memory()) for name, server in servers.items()}
    return result


def measure_startup(
    rounds: int, model: Model, path: Path, peers: Sequence[Peer], step: Step
) -> dict[str, Startup]:
    """Starts every peer once a round, alone, and ends it as soon as it is ready."""
    by_name = {peer.name: peer for peer in peers}
    found = {name: Startup() for name in by_name}
    for turn, name in interleave(rounds, list(by_name)):
        step(f"start {name}, round {turn + 1}")
        with serving(by_name[name].command(model, path)) as server:
            memory = server.memory()
            found[name].ready_seconds.append(server.ready_seconds)
            found[name].resident.append(memory.resident)
            found[name].proportional.append(memory.proportional)
    return found


def _body(directory: Path, load: Load) -> Path:
    return directory / f"{load.rows}.bin"


def _check(plan: Plan, model: Model, path: Path, server: Running, load: Load, body: Path, name: str) -> None:
    size = check_answer(server.port, model, path, load.rows)
    seconds = max(WARM_UP_SECONDS, model.least_seconds / 2)
    sample = h2load.run(plan.tool, server.port, body, load.streams, seconds, warm_up=0)
    if sample.refused(size):
        raise RunError(f"{name} refuses some requests for {model.name} at {load}: answers without a message")


def _run(plan: Plan, model: Model, server: Running, load: Load, body: Path) -> h2load.Sample:
    seconds = max(plan.seconds, model.least_seconds)
    return h2load.run(plan.tool, server.port, body, load.streams, seconds, WARM_UP_SECONDS)
