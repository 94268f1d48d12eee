"""Fixtures of the tests of benchmarks: their commands, and machines without h2load."""

import sys
from collections.abc import Callable
from typing import NoReturn

import pytest
from infermesh_perf.bench import h2load

#: Runs a command's ``main`` with arguments; returns the code that it exits with.
ExitCode = Callable[..., object]


@pytest.fixture
def exit_code(monkeypatch: pytest.MonkeyPatch) -> ExitCode:
    """The command runs in this process, whose handlers of signals it leaves alone."""
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def of(main: Callable[[], NoReturn], *arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        return exited.value.code

    return of


@pytest.fixture
def no_h2load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is tested so gets as far as running it."""
    monkeypatch.setattr(h2load, "find", lambda: "h2load")
    monkeypatch.setattr(h2load, "version", lambda _: "h2load")
