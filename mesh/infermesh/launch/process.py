"""One process: started, asked whether it is ready, and started again when it ends by itself."""

import asyncio
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from infermesh.errors import InfermeshError
from infermesh.exits import EXIT_USAGE
from infermesh.launch.probes import answers

#: Between two looks whether it is ready: before it is, and when it is.
SOON, LATER = 0.05, 2.0

#: The first pause before it is started again, and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0

#: Who has run for so long has not failed to start.
SETTLED_SECONDS = 60.0

#: Starts that end before it was ever ready.
TRIES = 3

#: Lines of output that are remembered for those who ask why it has ended.
REMEMBERED = 20

#: Of one line; what is longer is shown in pieces.
LINE_BYTES = 1 << 16

_PR_SET_PDEATHSIG = 1


class State(StrEnum):
    """How it is."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "not ready"
    PAUSED = "restarting"
    ENDING = "ending"
    ENDED = "ended"


class FailedStartError(InfermeshError):
    """A process does not come up."""


@dataclass(frozen=True)
class Probe:
    """A port of this machine, and the path of a GET; None: a connection is enough."""

    port: int
    path: str | None


@dataclass(frozen=True)
class Command:
    """What is run."""

    name: str
    arguments: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    ready: Probe
    #: Once this is answered, those may start that need it to be there.
    alive: Probe
    grace: float


class Process:
    """A process that is kept running."""

    def __init__(self, command: Command, say: Callable[[str, str], None]) -> None:
        """``say`` is told its name and each line of its output."""
        self.command = command
        self.state = State.WAITING
        self.restarts = 0
        self._say = say
        self._lines: deque[str] = deque(maxlen=REMEMBERED)
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopping = asyncio.Event()
        self._alive, self._ready = asyncio.Event(), asyncio.Event()

    async def wait_alive(self) -> None:
        """Until it is there for the first time."""
        await self._alive.wait()

    async def wait_ready(self) -> None:
        """Until it is ready for the first time."""
        await self._ready.wait()

    async def keep(self) -> None:
        """Run it until `stop`. Raises FailedStartError if it does not come up."""
        pauses, failures = _pauses(), 0
        while not self._is_stopping.is_set():
            seconds, code = await self._run_once()
            if self._is_stopping.is_set():
                break
            failures += not self._ready.is_set()
            if not self._ready.is_set() and (code == EXIT_USAGE or failures >= TRIES):
                raise FailedStartError(self._explain(code))
            if seconds > SETTLED_SECONDS:
                pauses = _pauses()
            pause = next(pauses)
            self.state = State.PAUSED
            self._tell(f"ended by itself ({_shown(code)}); it is started again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_stopping.wait(), pause)
            self.restarts += 1
        self.state = State.ENDED

    async def stop(self) -> None:
        """SIGTERM; SIGKILL to whatever is left after its grace."""
        self._is_stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self.state = State.ENDING
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self.command.grace)
        except TimeoutError:
            self._tell(f"has not ended within {self.command.grace:g} s, and is killed")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End it and its children at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _run_once(self) -> tuple[float, int]:
        """How long it has run, and its code."""
        self.state = State.STARTING
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.command.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self.command.directory,
                env={**os.environ, **self.command.environment},
                limit=LINE_BYTES,
                # Ctrl-C is for this process, which ends its children in order.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        except OSError as error:
            why = f"{self.command.name}: cannot run {self.command.arguments[0]}: {error.strerror}"
            raise FailedStartError(why, hint="is it installed, and on the PATH?") from error
        watch = asyncio.create_task(self._watch())
        await self._read(self._process.stdout)
        code = await self._process.wait()
        watch.cancel()
        # Children that it has left behind would keep its ports.
        self.kill()
        return loop.time() - begun, code

    async def _watch(self) -> None:
        while not self._alive.is_set():
            if await answers(self.command.alive.port, self.command.alive.path):
                self._alive.set()
            else:
                await asyncio.sleep(SOON)
        while True:
            is_ready = await answers(self.command.ready.port, self.command.ready.path)
            if is_ready:
                self._ready.set()
            if self.state is not State.ENDING:
                unready = State.UNREADY if self.state in (State.READY, State.UNREADY) else State.STARTING
                self.state = State.READY if is_ready else unready
            await asyncio.sleep(LATER if is_ready else SOON)

    async def _read(self, output: asyncio.StreamReader | None) -> None:
        while output is not None:
            try:
                line = await output.readuntil()
            except asyncio.IncompleteReadError as end:
                line = end.partial
                if not line:
                    return
            except asyncio.LimitOverrunError as error:
                line = await output.read(error.consumed)
            self._tell(line.decode(errors="replace").rstrip("\n"))

    def _tell(self, line: str) -> None:
        self._lines.append(line)
        self._say(self.command.name, line)

    def _explain(self, code: int) -> str:
        said = "\n".join(f"  {line}" for line in self._lines) or "  (it has said nothing)"
        return f"{self.command.name} does not come up: it ended with {_shown(code)}\n{said}"


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


def _shown(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"


def _die_with_parent() -> None:
    """In the child: who is left alone by a parent that was killed ends, too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
