"""The ``infermesh`` command: whatever the installed distributions register, imported only when it is run.

A distribution adds a command through the entry point group ``infermesh.commands``: the name is the command,
the object a function with Typer annotations or a ``typer.Typer``. Its module must be cheap to import,
because ``infermesh --help`` imports every one of them for its help text.
"""

from collections.abc import Iterator, MutableMapping, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from infermesh.errors import InfermeshError
from infermesh.exits import exit_after

GROUP = "infermesh.commands"


class InstalledCommands(MutableMapping[str, Any]):
    """Command name to Typer command; reading a value imports the module that defines it."""

    def __init__(self) -> None:
        self._entry_points = {point.name: point for point in entry_points(group=GROUP)}
        self._added: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._added:
            self._added[name] = _load(self._entry_points[name])
        return self._added[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._added[name] = command

    def __delitem__(self, name: str) -> None:
        self._added.pop(name, None)
        self._entry_points.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entry_points.keys() | self._added.keys()))

    def __len__(self) -> int:
        return len(self._entry_points.keys() | self._added.keys())


class InstalledGroup(TyperGroup):
    """A Typer group whose commands are the installed entry points."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = InstalledCommands()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer's signature
        """Return the names alone: Typer's own version would read, and so import, every command."""
        return list(self.commands)


def _load(point: EntryPoint) -> Any:
    try:
        target = point.load()
    except Exception as error:
        return _unavailable(point, error)
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    return _command(point.name, target)


def _command(name: str, function: Any) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name)(function)
    return typer.main.get_command(app)


def _unavailable(point: EntryPoint, error: Exception) -> Any:
    # One broken distribution must not take the help text and the other commands with it.
    reason = f"{type(error).__name__}: {error}"

    def unavailable() -> None:
        raise InfermeshError(f"the command '{point.name}' ({point.value}) cannot be imported: {reason}")

    unavailable.__doc__ = f"Cannot be imported: {reason}"
    return _command(point.name, unavailable)


app = typer.Typer(
    name="infermesh",
    cls=InstalledGroup,
    no_args_is_help=True,
    # The framed help cuts long option names off at the width of a terminal.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"infermesh {version('infermesh')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Serve ONNX and Python models over gRPC, and join them into one mesh."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 done, 2 usage or configuration, 1 failed.

    ``arguments`` replaces ``sys.argv[1:]``. Raises SystemExit always, except for an error nobody foresaw,
    whose traceback is worth reading.
    """
    exit_after(lambda: app(arguments, prog_name="infermesh"))
