"""A server by itself, behind Envoy and behind the sidecar; and infermesh's server behind its sidecar."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

from infermesh_perf.bench.servers import Servers
from infermesh_perf.bench.sidecar.stage import Stage
from infermesh_perf.bench.sidecar.turns import Loads, take_turns
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Infermesh, Sidecar, Triton
from infermesh_perf.processes import Running

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
    triton, infermesh = stage.triton.command(model, onnx), stage.infermesh.command(model, onnx)
    commands = {
        STRAIGHT: triton,
        Infermesh.name: infermesh,
        **{
            behind(proxy.name): proxy.before(STRAIGHT, triton.grpc_port, model.name).command
            for proxy in stage.proxies
        },
        OURS: stage.sidecar.before(Infermesh.name, infermesh.grpc_port, model.name).command,
    }
    every = [STRAIGHT, *(behind(proxy.name) for proxy in stage.proxies)]
    loads = {streams: list(every) for streams in stage.plan.streams}
    loads[max(loads)].append(OURS)
    with ExitStack() as stack:
        ways = Servers(stack, commands, stage.crashes)
        samples = take_turns(stage, model, onnx, ways, loads)
        memory = {proxy.name: asdict(ways.use(behind(proxy.name), Running.memory)) for proxy in stage.proxies}
        return Fronts(samples, memory)
