"""The command line: what it lists, what it imports, and its exit codes."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from infermesh import cli

COMMANDS = """
import typer
from infermesh.errors import ConfigurationError, InfermeshError

def greet(name: str) -> None:
    "Greet somebody."
    print(f"hello {name}")

def fail() -> None:
    raise InfermeshError("the disk is full", hint="delete something")

def misconfigured() -> None:
    raise ConfigurationError("mesh.yaml:3: port: found 'x', expected a number")

group = typer.Typer(help="Several things.")

@group.command()
def first() -> None:
    print("first")

@group.command()
def second() -> None:
    print("second")
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line with a few commands installed; returns exit code, stdout and stderr."""
    (tmp_path / "installed_commands.py").write_text(COMMANDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "installed_commands", raising=False)
    points = [
        EntryPoint(name, f"installed_commands:{name}", cli.GROUP)
        for name in ("misconfigured", "greet", "fail", "group")
    ]
    points.append(EntryPoint("absent", "no_such_module:command", cli.GROUP))
    monkeypatch.setattr(
        cli, "entry_points", lambda group: [point for point in points if point.group == group]
    )

    def run_main(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        code = caught.value.code
        assert isinstance(code, int)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_main


def test_help_lists_what_is_installed(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "Greet somebody." in out
    assert "Several things." in out
    assert out.index("fail") < out.index("greet") < out.index("misconfigured")


def test_help_survives_a_broken_distribution(run: Run) -> None:
    _, out, _ = run("--help")
    assert "absent" in out
    assert "Cannot be imported" in out


def test_version_needs_no_command(run: Run) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("infermesh ")
    assert "installed_commands" not in sys.modules


def test_runs_a_function_and_a_group(run: Run) -> None:
    assert run("greet", "you") == (0, "hello you\n", "")
    assert run("group", "second") == (0, "second\n", "")


def test_a_failure_is_one_sentence_and_exit_code_1(run: Run) -> None:
    code, _, err = run("fail")
    assert code == 1
    assert err == "Error: the disk is full\nHint: delete something\n"


def test_a_wrong_configuration_is_exit_code_2(run: Run) -> None:
    code, _, err = run("misconfigured")
    assert code == 2
    assert err == "Error: mesh.yaml:3: port: found 'x', expected a number\n"


@pytest.mark.parametrize("arguments", [("nonsense",), ("greet",), ("greet", "--loudly", "you"), ()])
def test_usage_errors_are_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    code, _, _ = run(*arguments)
    assert code == 2


def test_a_typing_error_is_answered_with_the_command_meant(run: Run) -> None:
    _, _, err = run("gret")
    assert "Did you mean 'greet'?" in err


def test_a_command_that_cannot_be_imported_says_why(run: Run) -> None:
    code, _, err = run("absent")
    assert code == 1
    assert "no_such_module" in err
    assert "Traceback" not in err
