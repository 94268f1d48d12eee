"""A real ``infermesh up`` process: started, followed through what it writes, stopped."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Self

#: More than anything takes that works.
SECONDS = 60.0


class Up:
    """Lines of standard output arrive in ``lines``, those of errors in ``errors``."""

    def __init__(self, *arguments: str | Path) -> None:
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infermesh", "up", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self._process.stdout, self.lines), (self._process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Ends it, in order if it can."""
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            self._process.wait(SECONDS)
        finally:
            self._process.kill()
            self.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def children(self) -> dict[int, list[str]]:
        """The command lines of its processes."""
        pids = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {int(pid): Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in pids}

    def wait_for(self, text: str, count: int = 1) -> str:
        """The line with a text, once there are so many of them."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self._news:
            assert self._news.wait_for(
                lambda: len(found()) >= count or self._process.poll() is not None, SECONDS
            )
            assert len(found()) >= count, (text, self.lines, self.errors)
            return found()[count - 1]

    def address(self, name: str) -> int:
        """The port where an instance is called, from what people are told."""
        line = self.wait_for(f"  {name} ")
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found is not None, line
        return int(found[1])

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once all that it wrote is here."""
        code = self._process.wait(SECONDS)
        for reader in self._readers:
            reader.join(SECONDS)
        return code

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()
