"""How long a proxy takes from its start until a request is answered through it, and what it holds then."""

from __future__ import annotations

from dataclasses import dataclass

from infermesh_perf.bench.compare import interleave
from infermesh_perf.bench.sidecar.stage import Stage
from infermesh_perf.models import MODELS
from infermesh_perf.processes import serving


@dataclass(frozen=True)
class Start:
    """One start: seconds until ready, and bytes held by its processes then, see `memory.Memory`."""

    ready_seconds: float
    resident: int
    proportional: int


def measure(stage: Stage) -> dict[str, list[Start]]:
    """Starts each proxy once a round before a server that is up, and ends it as soon as it is ready.

    Raises RunError when one does not come up.
    """
    model = MODELS["perceptron"]
    found: dict[str, list[Start]] = {proxy.name: [] for proxy in stage.proxies}
    by_name = {proxy.name: proxy for proxy in stage.proxies}
    with serving(stage.infermesh.command(model, stage.save(model))) as server:
        for turn, name in interleave(stage.plan.rounds, list(by_name)):
            stage.step(f"round {turn + 1}: start {name}")
            front = by_name[name].before("start", server.port, model.name)
            with serving(front.command) as running:
                memory = running.memory()
                found[name].append(Start(running.ready_seconds, memory.resident, memory.proportional))
    return found
