"""Takes the measurements: all servers of one model are up at once, one at a time is under load."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from infermesh_perf.bench import alone, h2load, own_client
from infermesh_perf.bench.compare import interleave
from infermesh_perf.bench.results import LoadResult, ModelResult, Startup
from infermesh_perf.bench.servers import Servers
from infermesh_perf.bodies import frame, infer_request
from infermesh_perf.errors import RunError
from infermesh_perf.models import Load, Model
from infermesh_perf.peers import Peer
from infermesh_perf.processes import Running, serving
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
        servers = Servers(stack, {peer.name: peer.command(model, path) for peer in peers}, result.crashes)
        for load in plan.loads(model):
            _body(bodies, load).write_bytes(frame(infer_request(model, model.sample(load.rows))))
            none_yet: dict[str, list[h2load.Sample]] = {name: [] for name in servers.names}
            result.loads.append(LoadResult(load, none_yet, {name: [] for name in servers.names}))
            for name in servers.names:
                step(f"{model.name}: check {name} at {load}")
                body = _body(bodies, load)
                servers.use(name, partial(_check, plan, model, path, load, body, name))
        for turn in range(plan.rounds):
            for each in result.loads:
                for _, name in interleave(1, servers.names):
                    step(f"{model.name}: round {turn + 1}, {name} at {each.load}")
                    body = _body(bodies, each.load)
                    sample = servers.use(name, partial(_run, plan, model, each.load, body))
                    each.samples[name].append(sample)
                    own = servers.use(name, partial(_run_own, plan, model, each.load))
                    each.own[name].append(own)
            if model.compute_bound:
                step(f"{model.name}: round {turn + 1}, ONNX Runtime alone")
                cores = len(os.sched_getaffinity(0))
                result.alone.append(alone.in_process(path, model, ALONE_SECONDS, cores))
        for name in servers.names:
            result.loaded_memory[name] = asdict(servers.use(name, Running.memory))
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


def _check(plan: Plan, model: Model, path: Path, load: Load, body: Path, name: str, server: Running) -> None:
    size = check_answer(server.port, model, path, load.rows)
    seconds = max(WARM_UP_SECONDS, model.least_seconds / 2)
    sample = h2load.run(plan.tool, server.port, body, load.streams, seconds, warm_up=0)
    if sample.refused(size):
        raise RunError(f"{name} refuses some requests for {model.name} at {load}: answers without a message")


def _run_own(plan: Plan, model: Model, load: Load, server: Running) -> own_client.OwnSample:
    message = infer_request(model, model.sample(load.rows))
    seconds = max(plan.seconds, model.least_seconds)
    return own_client.closed(server.port, message, load.streams, seconds, WARM_UP_SECONDS)


def _run(plan: Plan, model: Model, load: Load, body: Path, server: Running) -> h2load.Sample:
    seconds = max(plan.seconds, model.least_seconds)
    return h2load.run(plan.tool, server.port, body, load.streams, seconds, WARM_UP_SECONDS)
