"""Writes the reference of all commands: `python -m infermesh_perf.command.reference > docs/perf-flags.md`.

It is made from the commands themselves, and a test holds the file against them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand

from infermesh_perf.command.app import COMMANDS, app

HEAD = """# infermesh perf: every command and flag

Made from the commands (`python -m infermesh_perf.command.reference`). How they are used together is in the
[guide](guides/load-testing.md).
"""


def reference() -> str:
    """The page, in Markdown."""
    group: Any = typer.main.get_command(app)
    parts = [HEAD]
    for name in COMMANDS:
        command = group.get_command(None, name)
        parts += _command(f"infermesh perf {name}", command)
    return "\n".join(parts)


def _command(name: str, command: Any) -> Iterator[str]:
    if not isinstance(command, TyperCommand):
        yield f"## {name}\n\n{command.help}\n"
        for child in command.commands:
            yield from _command(f"{name} {child}", command.commands[child])
        return
    yield f"## {name}\n\n{_text(command.help or '')}\n"
    panel = None
    for parameter in command.params:
        if parameter.name == "help":
            continue
        heading = getattr(parameter, "rich_help_panel", None) or "Options"
        if heading != panel:
            panel = heading
            yield f"\n**{heading}**\n\n| flag | default | what it does |\n|-|-|-|"
        yield _row(parameter)
    yield ""


def _row(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.name}`"
    says, _, example = (parameter.help or "").partition(" Example: ")
    shown = f"{says} `{example}`" if example else says
    return f"| {names} | {_default(parameter)} | {_cell(shown)} |"


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "required"
    if value in (None, "", False, [], ()) or callable(value):
        return ""
    return f"`{getattr(value, 'value', value)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _text(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


if __name__ == "__main__":
    print(reference(), end="")
