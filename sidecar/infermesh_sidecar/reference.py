"""Writes docs/sidecar-reference.md: `python -m infermesh_sidecar.reference > docs/sidecar-reference.md`.

It is made from the schema and from the commands themselves, and a test holds the file against them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from infermesh.settings.reference import reference as of_schema

from infermesh_sidecar.command.app import app
from infermesh_sidecar.settings.sidecar import Sidecar

#: What people have to know before they look something up.
HEAD = Path(__file__).with_name("reference_head.md")


def reference() -> str:
    """The page."""
    return "\n".join([HEAD.read_text(encoding="utf-8"), of_schema(Sidecar), "# Commands\n", *_commands()])


def _commands() -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    yield from _help("infermesh sidecar", group)
    for name, command in group.commands.items():
        yield from _help(f"infermesh sidecar {name}", command)


def _help(name: str, command: Any) -> Iterator[str]:
    context = command.context_class(command, info_name=name, terminal_width=100, max_content_width=100)
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"## {name}\n\n```\n{text}\n```\n"


if __name__ == "__main__":
    print(reference(), end="")
