"""A command that is run with the sidecar, and ends it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from infermesh.errors import InfermeshError

#: Passed on when they come. SIGTERM and SIGINT are passed on when it is time for them.
_AT_ONCE = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class Child:
    """A running command. It has standard input and output to itself."""

    def __init__(self, command: Sequence[str], ended: Callable[[], None]) -> None:
        """Start it; ``ended`` is called from another thread when it has ended.

        Main thread only, since signals are taken over. Raises InfermeshError if it cannot be started.
        """
        try:
            self._process = subprocess.Popen(command)
        except OSError as error:
            raise InfermeshError(f"cannot run {command[0]}: {error.strerror}") from error
        for number in _AT_ONCE:
            signal.signal(number, lambda it, _: self.pass_on(it))
        self._ended = ended
        self._watch = threading.Thread(target=self._wait, name="command", daemon=True)
        self._watch.start()

    def pass_on(self, number: int) -> None:
        """Send it a signal."""
        # The terminal has sent it this one already.
        if number == signal.SIGINT and sys.stdin is not None and os.isatty(0):
            return
        self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended within so many seconds."""
        self._watch.join(seconds)
        return not self._watch.is_alive()

    def kill(self) -> None:
        """End it for good, if it has not ended."""
        self._process.kill()
        self._watch.join()

    @property
    def code(self) -> int:
        """Its exit code, once it has ended; of a signal, 128 and its number, as a shell has it."""
        code = self._process.returncode
        return 128 - code if code < 0 else code

    def _wait(self) -> None:
        self._process.wait()
        self._ended()
