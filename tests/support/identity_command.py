"""Runs `infermesh identity` as people do: in this process, or as one of its own that can be interrupted."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from infermesh import cli

SECONDS = 60


@dataclass(frozen=True)
class Outcome:
    """Exit code, standard output, standard error."""

    code: object
    out: str
    err: str


#: Takes the arguments behind `infermesh identity`.
Command = Callable[..., Outcome]


def in_process(capsys: pytest.CaptureFixture[str]) -> Command:
    """The whole command in this process."""

    def identity(*arguments: object) -> Outcome:
        capsys.readouterr()
        code: object = None
        try:
            cli.main(["identity", *map(str, arguments)])
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return identity


class Watching:
    """`issue --watch` as a process, from the moment on at which it has issued and takes signals."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "infermesh", "identity", "issue", "--watch", *map(str, arguments)]
        self._process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said: list[str] = []
        self.wait_for("ca.crt")

    def wait_for(self, text: str) -> str:
        """The line of standard output that has it."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line)
            if text in line:
                return line
        raise AssertionError(f"ended without {text!r}: {self.said} {self.end()}")

    def end(self, number: int | None = None) -> Outcome:
        """Sends it a signal if there is one, and waits for its end."""
        if number is not None:
            self._process.send_signal(signal.Signals(number))
        try:
            out, err = self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        return Outcome(self._process.returncode, "".join(self.said) + out, err)
