"""A real ``infermesh serve`` process: started, followed through its log, stopped."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

COMMAND = Path(sys.executable).with_name("infermesh")
START_SECONDS = 30.0
STOP_SECONDS = 40.0

Record = dict[str, Any]

#: Any port of this machine.
LOOPBACK = ("--grpc-address", "127.0.0.1", "--grpc-port", "0")

#: Each test opens the ports that it uses, so that tests can run beside each other.
_LISTENERS = {"--http-port": "--no-http", "--metrics-port": "--no-metrics"}


class Server:
    """Log lines arrive in ``records`` (stdout, JSON) and ``errors`` (stderr, text) while the process runs."""

    def __init__(self, *arguments: str | Path, within: Sequence[str] = ()) -> None:
        # `within` is a command that runs another one, in its place.
        self.records: list[Record] = []
        self.errors: list[str] = []
        self._news = threading.Condition()
        self._open_streams = 2
        self._asked_to_end = False
        absent = [off for on, off in _LISTENERS.items() if on not in arguments]
        self._process = subprocess.Popen(
            [*within, str(COMMAND), "serve", *map(str, arguments), *absent, "--log-format", "json"],
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
        """The server's process."""
        return self._process.pid

    @property
    def port(self) -> int:
        """The TCP port that it bound."""
        return int(self.wait_for("server-listening", with_field="server.port")["server.port"])

    @property
    def http_port(self) -> int:
        """The port that it bound for HTTP."""
        return self._port_of("/v2")

    @property
    def metrics_port(self) -> int:
        """The port that it bound for metrics."""
        return self._port_of("/metrics")

    def _port_of(self, path: str) -> int:
        record = self.wait_for("server-listening", lambda it: it["url.path"] == path, with_field="url.path")
        return int(record["server.port"])

    @property
    def target(self) -> str:
        """Where gRPC clients find it."""
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait_ready(self) -> None:
        """Return when it says that it serves every model."""
        self.wait_for("server-ready")

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

    def kill(self) -> None:
        """End it now, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._close()

    def resident_bytes(self) -> int:
        """Its resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
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


#: Starts a server on the test's own repository; the arguments are further options.
Serve = Callable[..., Server]


def stop_in_order(server: Server) -> None:
    """Every server that a test leaves running ends by itself, in order, and has lost nothing on the way."""
    code = server.stop()
    assert code == 0, server.transcript()
    assert server.errors == [], server.transcript()
    panics = [record for record in server.records if "panick" in record.get("message", "")]
    assert panics == []


@contextlib.contextmanager
def serving(
    *arguments: str | Path, until: str = "server-ready", within: Sequence[str] = ()
) -> Iterator[Server]:
    """A server for as long as the block lasts, from the record of this action on; it ends in order."""
    server = Server(*arguments, within=within)
    try:
        server.wait_for(until)
        yield server
        stop_in_order(server)
    finally:
        if server.running:
            server.kill()
