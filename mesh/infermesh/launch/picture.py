"""The live picture of a mesh on this machine: whom it asks, and how their processes are."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from infermesh.description.workload import ADMIN, GRPC, HTTP, INBOUND, METRICS
from infermesh.launch.process import Process, State
from infermesh.launch.supervisor import Member
from infermesh.overview.collect import Collector
from infermesh.overview.server import serving
from infermesh.overview.targets import InstanceState, ProcessState, Target
from infermesh.overview.view import Traffic

_STATES: Mapping[State, ProcessState] = {
    State.WAITING: "waiting",
    State.STARTING: "starting",
    State.READY: "running",
    State.UNREADY: "unready",
    State.PAUSED: "restarting",
    State.ENDING: "ending",
    State.ENDED: "ended",
}

#: The state of an instance is the worst of its processes.
_WORST: Sequence[ProcessState] = (
    "running",
    "unready",
    "starting",
    "waiting",
    "ending",
    "restarting",
    "ended",
)


@dataclass(frozen=True)
class Picture:
    """A page, and what it shows."""

    url: str
    collector: Collector

    def traffic(self) -> Mapping[str, Traffic]:
        """What came to each instance in the last ten seconds."""
        instances = (it for workload in self.collector.overview.workloads for it in workload.instances)
        return {it.name: it.traffic for it in instances}


@asynccontextmanager
async def showing(
    members: Sequence[Member], name: str, environment: str | None, port: int
) -> AsyncIterator[Picture]:
    """The page, for as long as the block lasts. Raises InfermeshError if the port is taken."""
    collector = Collector(
        lambda: list(targets(members)),
        lambda: dict(states(members)),
        name=name,
        environment=environment,
    )
    async with serving(lambda: collector.overview, port=port) as url:
        looking = asyncio.create_task(collector.run())
        try:
            yield Picture(url, collector)
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking


def targets(members: Sequence[Member]) -> Iterator[Target]:
    """One for each instance."""
    for member in members:
        workload, instance = member.instance.workload, member.instance
        urls = {
            port: f"http://{instance.listen(port)}"
            for port in (HTTP, METRICS, ADMIN)
            if workload.has_port(port)
        }
        called = next((port for port in (INBOUND, GRPC) if workload.has_port(port)), None)
        yield Target(
            workload=workload.name,
            instance=instance.name,
            kind=workload.kind,
            calls=workload.calls,
            models=workload.models,
            http=urls.get(HTTP),
            metrics=f"{urls[METRICS]}/metrics" if METRICS in urls else None,
            admin=urls.get(ADMIN),
            address=instance.listen(called) if called else None,
        )


def states(members: Sequence[Member]) -> Iterator[tuple[str, InstanceState]]:
    """By instance."""
    for member in members:
        worst = max(member.processes, key=_badness)
        state = _STATES[worst.state]
        problem = None if state == "running" else f"{worst.command.name} is {worst.state}"
        restarts = sum(process.restarts for process in member.processes)
        yield member.instance.name, InstanceState(state, restarts, problem)


def _badness(process: Process) -> int:
    return _WORST.index(_STATES[process.state])
