"""Writes docs/sidecar-reference.md: `python -m infermesh_sidecar.reference > docs/sidecar-reference.md`.

It is made from the schema and from the commands themselves, and a test holds the file against them.
"""

from collections.abc import Iterator
from pathlib import Path

import typer
from infermesh.command_reference import commands
from infermesh.settings.reference import reference as of_schema

from infermesh_sidecar.command.app import app
from infermesh_sidecar.settings.sidecar import Sidecar

#: What people have to know before they look something up.
HEAD = Path(__file__).with_name("reference_head.md")


def reference() -> str:
    """The page."""
    return "\n".join([HEAD.read_text(encoding="utf-8"), of_schema(Sidecar), "# Commands\n", *_commands()])


def _commands() -> Iterator[str]:
    return commands("infermesh sidecar", typer.main.get_command(app))


if __name__ == "__main__":
    print(reference(), end="")
