"""A process whose log is JSON: started, followed through its log, stopped."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

START_SECONDS = 30.0
STOP_SECONDS = 40.0

Record = dict[str, Any]


class Process:
    """Log lines arrive in ``records`` (stdout, JSON) and ``errors`` (stderr, text) while it runs."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        self.records: list[Record] = []
        self.errors: list[str] = []
        self._news = threading.Condition()
        self._open_streams = 2
        self._asked_to_end = False
        self._process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, self._add_record)),
            threading.Thread(target=self._read, args=(self._process.stderr, self.errors.append)),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait_for(
        self,
        action: str,
        matches: Callable[[Record], bool] = lambda _: True,
        *,
        with_field: str = "event.action",
        seconds: float = START_SECONDS,
    ) -> Record:
        """The first record of an action that fits; fails with the whole log if none comes in time."""

        def find() -> Record | None:
            fitting = (
                record
                for record in self.records
                if record.get("event.action") == action and with_field in record and matches(record)
            )
            return next(fitting, None)

        deadline = time.monotonic() + seconds
        with self._news:
            while (found := find()) is None:
                left = deadline - time.monotonic()
                assert self._open_streams, f"ended without '{action}':\n{self.transcript()}"
                assert left > 0, f"no '{action}' within {seconds} s:\n{self.transcript()}"
                self._news.wait(left)
        return found

    def terminate(self) -> None:
        """Ask it to end, and return at once."""
        self._asked_to_end = True
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end and return its exit code; one that outlives that is killed, and a failure."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {seconds} s:\n{self.transcript()}") from None
        self._close()
        return code

    def stop(self) -> int:
        """SIGTERM, and wait for the end; returns the exit code."""
        # A second signal would insist, where the first only asks.
        if self.running and not self._asked_to_end:
            self.terminate()
        return self.wait()

    def freeze(self) -> None:
        """Let it do nothing, without anybody being told; returns once none of its threads goes on."""
        self._process.send_signal(signal.SIGSTOP)
        # Of several threads, one may go on for as long as the one that got the signal has no core to run on.
        deadline = time.monotonic() + START_SECONDS
        while os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG) is None:
            assert time.monotonic() < deadline, f"has not stopped within {START_SECONDS} s"
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it now, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._close()

    def resident_bytes(self) -> int:
        """Its resident memory."""
        return self._memory("VmRSS")

    def peak_bytes(self) -> int:
        """The most that its resident memory has been since the peak was forgotten."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        """Let the peak be what there is now."""
        # See proc_pid_clear_refs(5).
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _memory(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the kernel does not say how much memory the process has")

    def transcript(self) -> str:
        """Everything it said, for people."""
        told = [f"{record.get('log.level', '?')}: {record.get('message')}" for record in self.records]
        return "\n".join([*told[-40:], *self.errors[-40:]])

    def _add_record(self, line: str) -> None:
        try:
            self.records.append(json.loads(line))
        except json.JSONDecodeError:
            # Not in the form that was asked for: the tests see it among the errors.
            self.errors.append(line)

    def _read(self, stream: IO[str], add: Callable[[str], None]) -> None:
        # A stream that is closed under the reader is over, too.
        with contextlib.suppress(ValueError):
            for line in stream:
                with self._news:
                    add(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._open_streams -= 1
            self._news.notify_all()

    def _close(self) -> None:
        for reader in self._readers:
            reader.join(5)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def stop_in_order(process: Process) -> None:
    """Every process that a test leaves running ends by itself, in order, and has lost nothing on the way."""
    code = process.stop()
    assert code == 0, process.transcript()
    assert process.errors == [], process.transcript()
    panics = [record for record in process.records if "panick" in record.get("message", "")]
    assert panics == []
