"""Runs `infermesh perf` as people do: in this process, or as one of its own that can be interrupted."""

import signal as signals
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from infermesh import cli
from infermesh_perf.results import files
from infermesh_perf.results.document import Run

#: Short, and nothing else than what was asked for.
QUICK = ("-z", "100ms", "--warm-up", "0", "--no-calibration")
SECONDS = 60


@dataclass(frozen=True)
class Outcome:
    """Exit code, standard output, standard error."""

    code: object
    out: str
    err: str


#: Takes the arguments behind `infermesh perf`.
Perf = Callable[..., Outcome]


def in_process(capsys: pytest.CaptureFixture[str]) -> Perf:
    """The whole command in this process: what is slow about it is importing it."""

    def perf(*arguments: object) -> Outcome:
        capsys.readouterr()
        code: object = None
        given = ["perf", *map(str, arguments)]
        # The command notes down how it was typed.
        before, sys.argv = sys.argv, ["/somewhere/bin/infermesh", *given]
        try:
            cli.main(given)
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.argv = before
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return perf


@dataclass(frozen=True)
class Measure:
    """Runs a command that measures, and reads the result that it wrote."""

    perf: Perf
    path: Path

    def __call__(self, *arguments: object, codes: tuple[int, ...] = (0, 3)) -> Run:
        """Exit code 3 is allowed for: the client's share of a busy machine is no business of most tests."""
        outcome = self.perf(*arguments, "-o", self.path)
        assert outcome.code in codes, outcome
        found = files.load(self.path)
        assert isinstance(found, Run)
        return found


class Process:
    """The command as a process. Its lines on standard error can be waited for."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "infermesh", "perf", *map(str, arguments)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []

    def wait_for(self, text: str) -> None:
        """Return when a line of standard error has it."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line)
            if text in line:
                return
        raise AssertionError(f"ended without {text!r}: {self.said}")

    def wait_for_start(self) -> None:
        """Return when SIGTERM has become Ctrl-C, which is when the command itself begins."""
        status = Path(f"/proc/{self._process.pid}/status")
        while not int(_field(status, "SigCgt:"), 16) >> (signals.SIGTERM - 1) & 1:
            assert self._process.poll() is None, self.end()

    def end(self, signal: int | None = None) -> Outcome:
        """Sends it a signal if there is one, and waits for its end."""
        if signal is not None:
            self._process.send_signal(signal)
        try:
            out, err = self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        return Outcome(self._process.returncode, out, "".join(self.said) + err)


def _field(status: Path, name: str) -> str:
    return next(line.split()[1] for line in status.read_text().splitlines() if line.startswith(name))


def options_of(command: Any) -> dict[str, Any]:
    """Every flag of a click command, with its parameter."""
    return {
        name: parameter
        for parameter in command.params
        if parameter.param_type_name == "option"
        for name in parameter.opts
    }
