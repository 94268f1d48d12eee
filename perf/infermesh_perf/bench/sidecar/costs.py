"""What a proxy takes of the machine at a fixed rate of requests, small and large."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from infermesh_perf import cpu
from infermesh_perf.bench import own_client
from infermesh_perf.bench.compare import interleave
from infermesh_perf.bench.measure import WARM_UP_SECONDS
from infermesh_perf.bench.sidecar.stage import Stage
from infermesh_perf.bodies import infer_request
from infermesh_perf.models import Model, identity
from infermesh_perf.processes import Running, serving
from infermesh_perf.rpc import check_answer


@dataclass(frozen=True)
class Body:
    """A tensor of so many bytes there and back, and requests a second, far from what any of them can take.

    That others publish their figures at 1,000 requests/s of 1 KB is why it is these.
    """

    name: str
    size: int
    rate: float

    @property
    def model(self) -> Model:
        """What answers it."""
        return identity(self.size // 4)


BODIES = (Body("1 KB", 1 << 10, 1_000), Body("1 MB", 1 << 20, 50))


@dataclass(frozen=True)
class Cost:
    """One run. `cpu_seconds` are the proxy's and belong to `requests`, times are seconds, memory is bytes."""

    requests: int
    cpu_seconds: float
    resident: int
    proportional: int
    p50: float
    p99: float

    @property
    def cores(self) -> float:
        """How many cores 1,000 requests per second keep busy."""
        return 1_000 * self.cpu_seconds / self.requests


#: By body, then by proxy: one for each round.
Costs = dict[str, dict[str, list[Cost]]]


def measure(stage: Stage) -> Costs:
    """All rounds. The upstream is infermesh's server, which leaves more of the machine than Triton would.

    Raises RunError when something does not come up, answers wrongly, or requests fail.
    """
    files = {body.model: stage.save(body.model) for body in BODIES}
    costs: Costs = {body.name: {proxy.name: [] for proxy in stage.proxies} for body in BODIES}
    with ExitStack() as stack:
        infermesh = stage.infermesh
        last = list(files)[-1].name
        server = stack.enter_context(serving(infermesh.serving(infermesh.repository("costs", files), last)))
        fronts = {
            proxy.name: stack.enter_context(serving(proxy.before("costs", server.port, last).command))
            for proxy in stage.proxies
        }
        for front in fronts.values():
            for model, onnx in files.items():
                check_answer(front.port, model, onnx, 1)
        for turn in range(stage.plan.rounds):
            for body in BODIES:
                for _, name in interleave(1, list(fronts)):
                    stage.step(f"round {turn + 1}: {name} at {body.rate:,.0f}/s of {body.name}")
                    costs[body.name][name].append(_run(fronts[name], body, stage.plan.seconds))
    return costs


def _run(front: Running, body: Body, seconds: float) -> Cost:
    model = body.model
    message = infer_request(model, model.sample(1))

    def load(seconds: float) -> own_client.OwnSample:
        return own_client.opened(front.port, message, body.rate, seconds, 0, "constant")

    load(WARM_UP_SECONDS)
    before = cpu.of_tree(front.pid)
    sample = load(seconds)
    used = cpu.of_tree(front.pid) - before
    memory = front.memory()
    return Cost(sample.succeeded, used, memory.resident, memory.proportional, sample.p50, sample.p99)
