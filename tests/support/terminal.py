"""A terminal on a machine of its own: commands in a folder, some of which stay until the end."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from support.namespaces import Machine
from support.sidecar import until

SECONDS = 45.0


class _Staying:
    """A command that stays, and what it has said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said: list[str] = []
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        assert process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(process.stdout,))
        self._reader.start()

    def wait_for(self, text: str) -> None:
        """Return when it has said that."""
        line = ""
        while text not in line:
            try:
                said = self._lines.get(timeout=SECONDS)
            except Empty:
                raise AssertionError(f"has not said '{text}':\n{self._transcript()}") from None
            assert said is not None, f"ended without '{text}':\n{self._transcript()}"
            line = said

    def wait_for_socket(self) -> None:
        """Return when it has one: it has started then, and connects or listens."""
        process = Path(f"/proc/{self._process.pid}")

        def is_there() -> bool:
            assert self._process.poll() is None, f"ended:\n{self._transcript()}"
            # What starts it has sockets, too.
            is_itself = Path(_target(process / "exe")).name.startswith("python")
            return is_itself and any(_target(it).startswith("socket:") for it in (process / "fd").iterdir())

        until(is_there)

    def end(self) -> None:
        """As with Ctrl-C; what does not end well is a failure."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(SECONDS)
        finally:
            self.kill()
        assert code in (0, 130, -signal.SIGINT), f"ended with {code}:\n{self._transcript()}"

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._reader.join(SECONDS)

    def _transcript(self) -> str:
        return "".join(self._said)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._said.append(line)
                self._lines.put(line)
        self._lines.put(None)


def _target(file: Path) -> str:
    try:
        return str(file.readlink())
    except FileNotFoundError:
        # It has been closed since.
        return ""


class Terminal:
    """Runs text as a shell does, with this environment's programs found first."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self._machine = machine
        self._folder = folder
        self._assigned: list[str] = []
        self._staying: dict[str, _Staying] = {}
        programs = Path(sys.executable).parent
        # `source .venv/bin/activate`, and what is started as .venv/bin/NAME.
        (folder / ".venv").symlink_to(programs.parent)
        self._environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        done = subprocess.run(
            self._command(text),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if text.partition("=")[0].isidentifier():
            self._assigned.append(text)
        return done

    def start(self, text: str, kind: str, ready: str) -> None:
        """Start what stays, and wait until it says that it is ready; one of its kind is ended before.

        Of what says nothing then (``ready`` is empty) its first socket is waited for.
        """
        if kind in self._staying:
            self._staying.pop(kind).end()
        process = subprocess.Popen(
            self._command(f"exec {text}"),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._staying[kind] = _Staying(process)
        if ready:
            self._staying[kind].wait_for(ready)
        else:
            self._staying[kind].wait_for_socket()

    def close(self) -> None:
        """End what stayed, the last first."""
        while self._staying:
            self._staying.popitem()[1].end()

    def kill(self) -> None:
        """End what is left, whatever it does."""
        for left in self._staying.values():
            left.kill()

    def _command(self, text: str) -> list[str]:
        script = "\n".join([*self._assigned, text])
        return [*self._machine.within, "bash", "-eu", "-o", "pipefail", "-c", script]
