"""Runs a mesh until it is told to end."""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from infermesh.description.read import Description
from infermesh.errors import ConfigurationError
from infermesh.launch import screen
from infermesh.launch.identities import Identities
from infermesh.launch.instance import Site
from infermesh.launch.ports import assign
from infermesh.launch.supervisor import Supervisor

#: Beside mesh.yaml: what is kept from one run to the next, by the name of the mesh.
STATE = Path(".infermesh")


@dataclass(frozen=True)
class Page:
    """Where the live picture is shown, and what the environment is called there."""

    environment: str | None
    #: 0: any that is free.
    port: int


def run(
    description: Description, console: Console, say: Callable[[str, str], None], page: Page | None
) -> None:
    """Run it until SIGTERM or SIGINT; the second of them ends everything at once. `page` may show it.

    Raises ConfigurationError if it runs already or a port is taken, InfermeshError if something does not come
    up or cannot be kept running.
    """
    state = description.folder.absolute() / STATE / description.mesh.name
    with _alone(state, description.mesh.name):
        site = _site(description, state)
        identities = None
        if site.mutual:
            identities = Identities(state / "identity", description.mesh.domain, list(site.workloads))
            identities.renew()
        try:
            asyncio.run(_run(description.mesh.name, site, console, say, page))
        finally:
            if identities is not None:
                identities.stop()


def _site(description: Description, state: Path) -> Site:
    ports = assign(list(description.workloads.values()), state / "ports.json")
    mutual = description.mesh.tls == "mutual"
    return Site(description.folder.absolute(), state, ports, description.workloads, mutual)


async def _run(
    name: str, site: Site, console: Console, say: Callable[[str, str], None], page: Page | None
) -> None:
    begun = time.monotonic()
    supervisor = Supervisor(site, say)
    told = _Told(supervisor)
    numbers: screen.Numbers = dict
    async with AsyncExitStack() as stack:
        if page is not None:
            # It takes what not everybody has installed.
            from infermesh.launch.picture import showing

            picture = await stack.enter_async_context(
                showing(supervisor.members, name, page.environment, page.port)
            )
            console.print(f"Live picture on {picture.url}", highlight=False)
            numbers = picture.traffic
        stack.enter_context(screen.live(console, supervisor.members, numbers))
        try:
            if await told.unless(supervisor.start()):
                console.print(f"{name} is ready after {time.monotonic() - begun:.1f} s", style="bold")
                for line in screen.addresses(supervisor.members):
                    console.print(line, highlight=False, soft_wrap=True)
                console.print("Ctrl-C drains and ends it", style="dim")
                await told.unless(supervisor.wait())
                console.print("Ending: what has been accepted is answered first", style="dim")
        finally:
            await supervisor.stop()


class _Told:
    """Whether it has been told to end."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._told = asyncio.Event()
        self._supervisor = supervisor
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._tell)

    async def unless(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do something unless told to end before it is done; whether it is done. Raises what it raises."""
        task, told = asyncio.create_task(work), asyncio.create_task(self._wait())
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not task.done():
            task.cancel()
            return False
        await task
        return True

    async def _wait(self) -> None:
        await self._told.wait()

    def _tell(self) -> None:
        if self._told.is_set():
            self._supervisor.kill()
        self._told.set()


@contextmanager
def _alone(state: Path, name: str) -> Iterator[None]:
    """Holds the state of a mesh. Raises ConfigurationError if another process does."""
    state.mkdir(parents=True, exist_ok=True)
    (state.parent / ".gitignore").write_text("*\n")
    with (state / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise ConfigurationError(
                f"the mesh '{name}' runs already, as process {lock.read().strip()}",
                hint="end that one, or give this one another name in mesh.yaml",
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
