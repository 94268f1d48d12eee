"""Writes docs/cli-reference.md: `python -m infermesh.command_reference > docs/cli-reference.md`.

It is made from the commands that are installed, and a test holds the file against them.
"""

from collections.abc import Iterator
from typing import Any

import typer

from infermesh.cli import app

HEAD = """# infermesh: every command

Made from the commands themselves (`python -m infermesh.command_reference`); each says the same with `--help`.

Exit codes: 0 it is done, 2 it was called or configured wrongly, 1 it failed.
"""

#: Commands that have a page of their own.
ELSEWHERE = {
    "perf": "[Every flag](perf-flags.md) of its commands has a page, and [a guide](guides/load-testing.md).",
    "sidecar": "[Its commands](sidecar-reference.md#commands) stand behind the fields of `sidecar.yaml`.",
}


def reference() -> str:
    """The page."""
    root: Any = typer.main.get_command(app)
    parts = [HEAD]
    for name in root.list_commands(None):
        full = f"infermesh {name}"
        if name in ELSEWHERE:
            parts.append(
                f"## {full}\n\n{root.commands[name].help.partition(chr(10))[0]}\n\n{ELSEWHERE[name]}\n"
            )
        else:
            parts += commands(full, root.commands[name])
    return "\n".join(parts)


def commands(name: str, command: Any) -> Iterator[str]:
    """A section for a command and for each below it, in the words of its help."""
    context = command.context_class(command, info_name=name, terminal_width=100, max_content_width=100)
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"## {name}\n\n```\n{text}\n```\n"
    for child, below in getattr(command, "commands", {}).items():
        yield from commands(f"{name} {child}", below)


if __name__ == "__main__":
    print(reference(), end="")
