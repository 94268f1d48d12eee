"""All processes of a mesh, in their order: those that others call first, a sidecar before its app."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infermesh.description import workload as described
from infermesh.description.workload import Container
from infermesh.errors import InfermeshError
from infermesh.launch.instance import Instance, Site
from infermesh.launch.process import Command, Probe, Process

#: Until somebody who has been started is ready: models may be large.
READY_SECONDS = 300.0


@dataclass(frozen=True)
class Member:
    """An instance of a workload and its processes, in the order in which they start."""

    instance: Instance
    processes: Sequence[Process]


class Supervisor:
    """Starts, keeps and ends everything."""

    def __init__(self, site: Site, say: Callable[[str, str], None]) -> None:
        """``say`` is told the name of a process and each line of its output. Within a running loop."""
        self._stages = [[Member(it, list(_processes(it, say))) for it in stage] for stage in _stages(site)]
        self._tasks: list[asyncio.Task[None]] = []
        #: The first that cannot be kept running.
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def members(self) -> Sequence[Member]:
        """All of them."""
        return [member for stage in self._stages for member in stage]

    async def start(self) -> None:
        """Start all, each stage once the one before it is ready.

        Raises InfermeshError if something does not come up; `stop` is to be called then, too.
        """
        for stage in self._stages:
            await self._unless_one_fails(self._start_all(stage))

    async def wait(self) -> None:
        """Until something cannot be kept running. Raises InfermeshError then."""
        await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """End all, in the opposite order: who calls others first, an app after its sidecar has drained."""
        for stage in reversed(self._stages):
            await asyncio.gather(*(self._stop(member) for member in stage))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def kill(self) -> None:
        """End all at once."""
        for member in self.members:
            for process in member.processes:
                process.kill()

    async def _start_all(self, stage: Sequence[Member]) -> None:
        await asyncio.gather(*(self._start(member) for member in stage))

    async def _start(self, member: Member) -> None:
        for process in member.processes:
            task = asyncio.create_task(process.keep())
            task.add_done_callback(self._note)
            self._tasks.append(task)
            if process is not member.processes[-1]:
                await process.wait_alive()
        for process in member.processes:
            try:
                await asyncio.wait_for(process.wait_ready(), READY_SECONDS)
            except TimeoutError as error:
                why = f"{process.command.name} was not ready after {READY_SECONDS:g} s"
                raise InfermeshError(why) from error

    async def _stop(self, member: Member) -> None:
        for process in member.processes:
            await process.stop()

    async def _unless_one_fails(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Future[None] = asyncio.create_task(work)
        await asyncio.wait({task, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        if self._failed.done():
            task.cancel()
            self._failed.result()
        await task

    def _note(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)


def _stages(site: Site) -> Iterator[Sequence[Instance]]:
    """Those first that call nobody, then those who call them."""
    started: set[str] = set()
    left = dict(site.workloads)
    while left:
        now = [it for it in left.values() if started.issuperset(it.calls)] or list(left.values())
        yield [Instance(site, it, index) for it in now for index in range(it.placement.replicas)]
        started.update(it.name for it in now)
        for it in now:
            del left[it.name]


def _processes(instance: Instance, say: Callable[[str, str], None]) -> Iterator[Process]:
    """Sidecars first."""
    containers = instance.workload.containers(instance)
    for container in sorted(containers, key=lambda it: not it.is_sidecar):
        _write(instance, container)
        # An app without a command is started by somebody else.
        if container.is_ours or container.command:
            yield Process(_command(instance, container, len(containers)), say)


def _write(instance: Instance, container: Container) -> None:
    instance.folder.mkdir(parents=True, exist_ok=True)
    for name, text in container.files.items():
        Path(instance.file(name)).write_text(text, encoding="utf-8")


def _command(instance: Instance, container: Container, count: int) -> Command:
    ours = (sys.executable, "-m", "infermesh") if container.is_ours else ()
    name = instance.name if count == 1 else f"{instance.name}/{container.name}"
    ready = _probe(instance, container.ready)
    return Command(
        name=name,
        arguments=(*ours, *container.command),
        directory=instance.site.folder / container.directory,
        environment={"PATH": _path(), **container.environment},
        ready=ready,
        alive=_probe(instance, container.alive) if container.alive else ready,
        grace=container.grace.total_seconds(),
    )


def _path() -> str:
    """With the programs of this environment first, also where nobody has activated it."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


def _probe(instance: Instance, probe: described.Probe) -> Probe:
    return Probe(instance.number(probe.port), probe.path)
