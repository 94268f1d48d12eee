"""Prometheus' own programs: its checker of rules and configuration, and the server itself."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

PROMTOOL = shutil.which("promtool")
PROMETHEUS = shutil.which("prometheus")
SECONDS = 60.0

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool here (Debian's package is called prometheus)"
)
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None, reason="no prometheus here (Debian's package is called prometheus)"
)

Sample = tuple[dict[str, str], float]


def promtool(*arguments: str | Path) -> str:
    """What it says; it has to be content."""
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rule_test(
    folder: Path, rules: Mapping[str, Any], series: Mapping[str, str], **checks: Sequence[Mapping[str, Any]]
) -> None:
    """Holds rules to checks of `promtool test rules`; series are by name with labels, a value a minute."""
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"rule_files": ["rules.yml"], "tests": [{"interval": "1m", "input_series": given, **checks}]}
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    (folder / "test.yml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", folder / "test.yml")


def value(minutes: int, expression: str, expected: float | None) -> dict[str, Any]:
    """A check of a number without labels, or of there being none, after some minutes."""
    samples = [] if expected is None else [{"labels": "{}", "value": expected}]
    return {"expr": expression, "eval_time": f"{minutes}m", "exp_samples": samples}


class Prometheus:
    """A server that is asked for instant values."""

    def __init__(self, port: int, log: Path) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._log = log

    def query(self, expression: str) -> list[Sample]:
        """Labels and values, as they are now."""
        answer = self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        return [(it["metric"], float(it["value"][1])) for it in answer["data"]["result"]]

    def rules(self) -> list[dict[str, Any]]:
        """All rules, with their health."""
        groups = self._get("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def wait_for(self, expression: str, fits: Callable[[list[Sample]], bool] = bool) -> list[Sample]:
        """The values of an expression, as soon as they are what is wanted."""
        end = time.monotonic() + SECONDS
        while not fits(found := self.query(expression)):
            assert time.monotonic() < end, (expression, found, self._log.read_text()[-2000:])
            time.sleep(0.1)
        return found

    def wait_ready(self) -> None:
        """Return once it answers."""
        end = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{self._base}/-/ready", timeout=SECONDS).close()
                return
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.05)

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self._base + path, timeout=SECONDS) as answer:
            return json.load(answer)


@contextlib.contextmanager
def running(configuration: Path, folder: Path) -> Iterator[Prometheus]:
    """One on loopback with this configuration, ready, for as long as the block lasts."""
    assert PROMETHEUS is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    log = folder / "prometheus.log"
    arguments: Sequence[str] = [
        PROMETHEUS,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with log.open("w") as said, subprocess.Popen(arguments, stdout=said, stderr=said) as process:
        try:
            found = Prometheus(port, log)
            found.wait_ready()
            yield found
        finally:
            process.terminate()
