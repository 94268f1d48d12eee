"""Options that several commands share."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest
import typer
from infermesh.grouped import grouped
from typer.testing import CliRunner


@dataclass(frozen=True)
class Where:
    model: Annotated[str, typer.Option("-m")]
    header: Annotated[list[str], typer.Option("-H")] = field(default_factory=list)
    port: Annotated[int, typer.Option("--port", min=1)] = 80


@dataclass(frozen=True)
class How:
    quiet: Annotated[bool, typer.Option("-q")] = False


def invoke(*arguments: str) -> tuple[int, list[object]]:
    seen: list[object] = []

    @grouped
    def command(name: Annotated[str, typer.Argument()], where: Where, how: How) -> None:
        seen.extend([name, where, how])

    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, arguments).exit_code, seen


def test_a_command_gets_its_groups() -> None:
    assert invoke("x", "-m", "a", "-q", "-H", "1", "-H", "2", "--port", "3") == (
        0,
        ["x", Where("a", ["1", "2"], 3), How(True)],
    )


def test_defaults_are_those_of_the_groups() -> None:
    assert invoke("x", "-m", "a") == (0, ["x", Where("a"), How()])


@pytest.mark.parametrize(
    "arguments", [("x",), ("-m", "a"), ("x", "-m", "a", "--port", "0"), ("x", "-m", "a", "-z")]
)
def test_what_does_not_fit_is_refused(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments) == (2, [])


def test_an_option_that_stands_twice() -> None:
    def command(one: Where, other: Where) -> None:
        raise AssertionError(one, other)

    with pytest.raises(TypeError, match="command: options that stand twice: header, model, port"):
        grouped(command)
