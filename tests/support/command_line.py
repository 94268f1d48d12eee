"""``infermesh`` on the command line: in this process, or in one of its own."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import pytest
from infermesh import cli

SECONDS = 30.0


class Outcome:
    """Of one run in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main([str(argument) for argument in arguments])
        self.code = caught.value.code
        self.out, self.err = capsys.readouterr()

    @property
    def lines(self) -> list[str]:
        """What it wrote, line by line, with single spaces."""
        return [" ".join(line.split()) for line in self.out.splitlines()]


class Running:
    """A process that goes on until it is interrupted."""

    def __init__(self, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infermesh", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def line(self, cause: Callable[[], object] = lambda: None) -> str:
        """The next line that it writes; ``cause`` is called again and again until there is one."""
        for _ in range(300):
            cause()
            try:
                return self._lines.get(timeout=0.1)
            except Empty:
                assert self._process.poll() is None, self._said()
        raise AssertionError("it writes nothing")

    def json(self, cause: Callable[[], object] = lambda: None) -> Any:
        """The next line, from JSON."""
        return json.loads(self.line(cause))

    def interrupt(self) -> int:
        """As Ctrl-C does; its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Its exit code, when it ends by itself."""
        return self._process.wait(SECONDS)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)

    def _said(self) -> str:
        assert self._process.stderr is not None
        return self._process.stderr.read()
