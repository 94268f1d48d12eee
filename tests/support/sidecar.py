"""A real ``infermesh sidecar`` process: started, followed through its log, stopped."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import yaml

#: More than anything takes that works.
SECONDS = 30.0
HERE = Path(__file__).parent


Record = dict[str, Any]


class Sidecar:
    """Log lines arrive in ``records`` (stdout, JSON) and ``errors`` (stderr, text) while the process runs."""

    def __init__(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> None:
        self.records: list[Record] = []
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._news = threading.Condition()
        self._open = 2
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infermesh", "sidecar", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        for stream, add in ((self._process.stdout, self._add), (self._process.stderr, self.errors.append)):
            threading.Thread(target=self._read, args=(stream, add), daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the process, from the first to the last."""
        return self._process.pid

    def port(self, name: str) -> int:
        """The port that a listener, or ``admin``, bound."""
        record = self.wait_for("sidecar-listening", lambda it: f" {name} on " in it["message"])
        return int(record["server.port"])

    def wait_for(self, action: str, fits: Callable[[Record], bool] = lambda _: True) -> Record:
        """Return the first record of an action, as soon as there is one."""

        def found() -> Record | None:
            return next((it for it in self.records if it.get("event.action") == action and fits(it)), None)

        with self._news:
            self._news.wait_for(lambda: found() is not None or self._open == 0, SECONDS)
            record = found()
        assert record is not None, (action, self.records, self.lines, self.errors)
        return record

    def actions(self) -> list[str]:
        """What happened, in order."""
        return [record["event.action"] for record in self.records if "event.action" in record]

    def admin(self, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any]:
        """What the admin endpoint answers: the status, and the JSON."""
        return ask(self.port("admin"), path, method, body)

    def calls(self, name: str) -> list[list[Any]]:
        """What a fake data plane was told, of one method."""
        return [call[1:] for call in self.admin("/calls")[1] if call[0] == name]

    def signal(self, number: int) -> None:
        """Send it one."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.signal(signal.SIGTERM)

    def wait(self, seconds: float = SECONDS) -> int:
        """Return its exit code, once all that it wrote is here."""
        code = self._process.wait(seconds)
        with self._news:
            assert self._news.wait_for(lambda: self._open == 0, seconds)
        return code

    def kill(self) -> None:
        """End it for good, if it has not ended."""
        self._process.kill()
        self._process.wait()

    def _read(self, stream: IO[str], add: Callable[[str], None]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    add(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._open -= 1
            self._news.notify_all()

    def _add(self, line: str) -> None:
        try:
            self.records.append(json.loads(line))
        except json.JSONDecodeError:
            self.lines.append(line)


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any]:
    """Status and JSON of an answer over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def until(true: Callable[[], bool]) -> None:
    """Return as soon as it is, for what nobody tells of."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def write_config(folder: Path, **settings: Any) -> Path:
    """A sidecar.yaml with ports that are free, and a log in JSON."""
    data = {"name": "test", "admin": "127.0.0.1:0", "log": {"format": "json"}, **settings}
    file = folder / "sidecar.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


#: What makes a process take the data plane of ``fake_proxy``.
FAKE = {"PYTHONPATH": os.pathsep.join([str(HERE / "fake_native"), str(HERE.parent), *filter(None, sys.path)])}
