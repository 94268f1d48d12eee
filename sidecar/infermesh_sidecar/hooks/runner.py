"""Answers requests that wait for functions."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from infermesh.logs import ecs

from infermesh_sidecar.hooks import call, reply
from infermesh_sidecar.hooks.complaints import Complaints
from infermesh_sidecar.hooks.functions import Function

if TYPE_CHECKING:
    from infermesh_sidecar.hooks.coroutines import Coroutines

_log = logging.getLogger("infermesh.sidecar")

#: Threads that call functions, if nobody asks for more.
THREADS = 4

#: How long one look at an empty queue lasts; a request ends it at once. So long may it take to stop, too.
_PATIENCE_SECONDS = 0.5

#: Time for functions to return at the end of a ``with`` block.
_STOP_SECONDS = 5.0


class Hook(Protocol):
    """A request that waits; see ``infermesh_native.Hook``."""

    @property
    def call(self) -> bytes | None:
        """What the function is called with, in JSON; None once it was answered."""

    @property
    def wanted(self) -> bool:
        """Whether a request still waits for it."""

    def reply(self, reply: bytes) -> None:
        """What it returned, in JSON."""


class Proxy(Protocol):
    """The part of ``infermesh_native.Proxy`` that has them; see there."""

    def take_hooks(self, timeout: float) -> Sequence[Hook]:
        """The next requests that wait for functions; empty if there is none within so many seconds."""


class Hooks:
    """Calls functions from ``start`` to ``stop``, or within its context.

    Plain functions run on a few threads, so one that is slow takes a thread from the others. One that is
    ``async`` takes none while it waits.
    """

    def __init__(
        self,
        proxy: Proxy,
        functions: Mapping[str, Function],
        *,
        threads: int = THREADS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``functions`` are by ``module:function``, as ``load_functions`` returns them.

        ``clock`` is in seconds.
        """
        self._proxy = proxy
        self._functions = functions
        self._complaints = Complaints(clock)
        self._stopped = threading.Event()
        #: One thread looks for requests at a time. It takes as many as there are, answers the first, and
        #: leaves the others to the threads that look after it: a slow function holds up none of them.
        self._turn = threading.Lock()
        self._taken: deque[Hook] = deque()
        self._coroutines: Coroutines | None = None
        self._threads = [
            threading.Thread(target=self._run, name=f"transform-{index}", daemon=True)
            for index in range(threads)
        ]

    def start(self) -> None:
        """Begin to answer."""
        if any(function.is_async for function in self._functions.values()):
            # Not a small module, and most have no use for it.
            from infermesh_sidecar.hooks.coroutines import Coroutines

            self._coroutines = Coroutines()
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> bool:
        """Call no more functions; returns whether those that run returned within so many seconds.

        Those that did not go on, on threads that do not keep the process.
        """
        end = time.monotonic() + seconds
        self._stopped.set()
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._taken.clear()
        running = [thread.name for thread in self._threads if thread.is_alive()]
        if self._coroutines is not None and not self._coroutines.close(max(0.0, end - time.monotonic())):
            running.append("transform-loop")
        if running:
            _log.warning(
                "Functions still run after %g s and are left behind: %s",
                seconds,
                ", ".join(running),
                extra=ecs("transform-left-behind"),
            )
        return not running

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            if (hook := self._next()) is not None:
                self._answer(hook)

    def _next(self) -> Hook | None:
        with self._turn:
            if not self._taken and not self._stopped.is_set():
                self._take()
            return self._taken.popleft() if self._taken else None

    def _take(self) -> None:
        begun = time.monotonic()
        self._taken.extend(self._proxy.take_hooks(_PATIENCE_SECONDS))
        left = _PATIENCE_SECONDS - (time.monotonic() - begun)
        if not self._taken and left > 0:
            # The data plane has ended, and does not wait any more.
            self._stopped.wait(left)

    def _answer(self, hook: Hook) -> None:
        message = hook.call
        if message is None or not hook.wanted:
            return
        try:
            name, asked = call.parse(message)
        except (ValueError, RecursionError) as error:
            hook.reply(reply.error(error))
            return
        function = self._functions[name]
        if function.is_async:
            self._begin(function, asked, hook)
            return
        try:
            hook.reply(reply.tensors(function.call(asked)))
        # Not even the end of the interpreter, which a function may ask for, ends the thread.
        except BaseException as error:
            self._failed(name, asked, hook, error)

    def _begin(self, function: Function, asked: call.Call, hook: Hook) -> None:
        assert self._coroutines is not None
        if not self._coroutines.start(self._await(function, asked, hook), lambda: hook.wanted):
            hook.reply(reply.error(RuntimeError("too many calls of async functions are under way already")))

    async def _await(self, function: Function, asked: call.Call, hook: Hook) -> None:
        from asyncio import CancelledError

        try:
            hook.reply(reply.tensors(await function.call(asked)))
        except CancelledError:
            # Nobody waits for it any more.
            raise
        except BaseException as error:
            self._failed(function.name, asked, hook, error)

    def _failed(self, name: str, asked: call.Call, hook: Hook, error: BaseException) -> None:
        hook.reply(reply.error(error))
        self._complaints.about(name, asked.rule, error)
