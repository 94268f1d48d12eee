"""A server by itself, behind Envoy and behind the sidecar; and infermesh's server behind its sidecar."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

from infermesh_perf.bench.sidecar.stage import Stage
from infermesh_perf.bench.sidecar.turns import Loads, take_turns
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Infermesh, Sidecar, Triton
from infermesh_perf.processes import Command, Running, serving

STRAIGHT = Triton.name


def behind(proxy: str, server: str = STRAIGHT) -> str:
    """What the way to a server through a proxy is called."""
    return f"{server} behind {proxy}"


#: Both ours; it takes part at the most streams.
OURS = behind(Sidecar.name, Infermesh.name)


@dataclass
class Fronts:
    """Samples of every way, and what each proxy before Triton held after all of them, in bytes."""

    loads: Loads = field(default_factory=dict)
    loaded_memory: dict[str, dict[str, int]] = field(default_factory=dict)


def measure(stage: Stage) -> Fronts:
    """All rounds. Raises RunError when something does not come up, answers wrongly, or a run fails."""
    model = MODELS["perceptron"]
    onnx = stage.save(model)
    with ExitStack() as stack:

        def start(command: Command) -> Running:
            return stack.enter_context(serving(command))

        triton = start(stage.triton.command(model, onnx))
        infermesh = start(stage.infermesh.command(model, onnx))
        fronts = {
            proxy.name: start(proxy.before(STRAIGHT, triton.port, model.name).command)
            for proxy in stage.proxies
        }
        ways = {STRAIGHT: triton, **{behind(name): front for name, front in fronts.items()}}
        loads = {streams: list(ways) for streams in stage.plan.streams}
        ways[OURS] = start(stage.sidecar.before(Infermesh.name, infermesh.port, model.name).command)
        loads[max(loads)].append(OURS)
        samples = take_turns(stage, model, onnx, ways, loads)
        return Fronts(samples, {name: asdict(front.memory()) for name, front in fronts.items()})
