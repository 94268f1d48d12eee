"""A thread that does one thing again and again, for as long as the sidecar runs."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Worker:
    """Within its context, ``step`` is called again and again; it returns by itself within a second or so.

    ``pause`` are the seconds between two calls, which the end cuts short.
    """

    def __init__(self, name: str, step: Callable[[], None], pause: float = 0.0) -> None:
        self._step = step
        self._pause = pause
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._pause):
            self._step()
