"""Runs functions that are coroutines: one event loop on a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

#: Under way at a time. Each waits for something, and the request that it is for gives up after its own time.
MAX_UNDER_WAY = 256

#: Between two looks at whether somebody still waits for what is under way.
_LOOK_SECONDS = 0.25


class Coroutines:
    """Runs what it is given until it is closed."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        #: Used on the loop's thread alone, with the question whether the result is still wanted.
        self._under_way: dict[asyncio.Task[None], Callable[[], bool]] = {}
        self._looking = False
        self._room = threading.Semaphore(MAX_UNDER_WAY)
        self._thread = threading.Thread(target=self._run, name="transform-loop", daemon=True)
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, None], is_wanted: Callable[[], bool]) -> bool:
        """Run it, and cancel it soon after it is not wanted any more; from any thread.

        Returns False if too many are under way already: it is closed then, and never runs.
        """
        if not self._room.acquire(blocking=False):
            coroutine.close()
            return False
        self._loop.call_soon_threadsafe(self._begin, coroutine, is_wanted)
        return True

    def close(self, seconds: float) -> bool:
        """Cancel what is under way; returns whether all of it ended within so many seconds."""
        ended: Future[None] = Future()
        self._loop.call_soon_threadsafe(self._end, ended)
        try:
            ended.result(seconds)
        except TimeoutError:
            return False
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _begin(self, coroutine: Coroutine[Any, Any, None], is_wanted: Callable[[], bool]) -> None:
        task = self._loop.create_task(coroutine)
        self._under_way[task] = is_wanted
        task.add_done_callback(self._done)
        if not self._looking:
            self._looking = True
            self._loop.call_later(_LOOK_SECONDS, self._look)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._room.release()

    def _look(self) -> None:
        for task, is_wanted in self._under_way.items():
            if not is_wanted():
                task.cancel()
        self._looking = bool(self._under_way)
        if self._looking:
            self._loop.call_later(_LOOK_SECONDS, self._look)

    def _end(self, ended: Future[None]) -> None:
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()

        async def wait() -> None:
            await asyncio.gather(*tasks, return_exceptions=True)
            ended.set_result(None)

        # Held here, since a loop refers to its tasks only weakly.
        self._last = self._loop.create_task(wait())
