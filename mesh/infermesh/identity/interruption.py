"""SIGTERM and SIGINT as something to wait for."""

import select
import signal
import socket
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Whether the process was asked to end; main thread only, within a ``with`` block.

    A signal that comes just before the wait ends it, too: the interpreter writes a byte for each, and that
    is what is waited for.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            self._handlers[number] = signal.signal(number, _note)
        return self

    def __exit__(self, *error: object) -> None:
        """Give them back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float) -> bool:
        """True as soon as the process was asked to end, False after so many seconds."""
        # The byte is left where it is: whoever was asked once stays asked.
        readable, _, _ = select.select([self._reader], [], [], seconds)
        return bool(readable)


def _note(_number: int, _frame: FrameType | None) -> None:
    """Nothing: it is there so that the signal does not end the process, and writes its byte."""
