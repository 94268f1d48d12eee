"""The `infermesh perf` group: names and a line each; a command's module is imported when it is asked for."""

from __future__ import annotations

import signal
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from infermesh_perf.errors import RunError

#: Name to what it does in a line. The module of a name has a function of that name, or a Typer called `app`.
COMMANDS = {
    "run": "Measure a server under one load after the other.",
    "search": "Find the highest load that meets an objective.",
    "compare": "Compare two servers, or one with a result of before.",
    "scenario": "Measure by the rules of an MLPerf scenario.",
    "calibrate": "What this machine can send and time at most.",
    "report": "Make the page and the tables of a result anew.",
    "peers": "Other servers, proxies and clients to measure beside.",
    "worker": "Send for a coordinator on another machine.",
}


class SectionedCommand(TyperCommand):
    """Help with options under the headings of their groups: fifty in one list help nobody."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """As click does, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                heading = getattr(parameter, "rich_help_panel", None) or "Options"
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class LazyGroup(TyperGroup):
    """Imports a command's module when it is run, or its own help is shown."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature of the base
        """In the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature of the base
        """None for a name that is none."""
        return _load(cmd_name) if cmd_name in COMMANDS else None

    def invoke(self, ctx: Any) -> Any:
        """SIGTERM is Ctrl-C: a command that has measured something hands it out, any other one has failed."""
        before = signal.getsignal(signal.SIGTERM)
        try:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise RunError("interrupted: there is nothing to hand out") from error
        finally:
            signal.signal(signal.SIGTERM, before)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature of the base
        """From the lines above: importing all modules for it would take a second."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@cache
def _load(name: str) -> Any:
    module = import_module(f"infermesh_perf.command.{name}")
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    made = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    made.command(
        name,
        cls=SectionedCommand,
        epilog=getattr(module, "EXAMPLES", None),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )(getattr(module, name))
    return typer.main.get_command(made)


app = typer.Typer(
    name="perf",
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: infermesh perf run -m MODEL --report out.html",
)


@app.callback()
def _perf() -> None:
    """Load-test v2 model servers: honest latencies, a search for the limit, comparisons, a report."""
