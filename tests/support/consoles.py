"""What a page of the documentation shows: commands with what they print, and files."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: A block whose first line is a comment with a path in it and nothing else.
FILE = re.compile(r"^```\w*\n# ([\w./-]+\.(?:py|yaml|pbtxt))\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: `$ `, or the name of a machine before it.
PROMPT = re.compile(r"^\w*\$ ")


@dataclass(frozen=True)
class Command:
    """One command, which may have several lines, and what the page says that it prints."""

    text: str
    printed: str

    @property
    def words(self) -> list[str]:
        """Without its comment."""
        return shlex.split(self.text, comments=True)

    @property
    def programs(self) -> set[str]:
        """What it starts, in all its parts."""
        parts = re.split(r"&&|\|\||[|;]", re.sub(r"'[^']*'|\"[^\"]*\"", "_", self.text))
        return {next((word for word in part.split() if _is_program(word)), "") for part in parts}


def commands(page: Path) -> list[Command]:
    """Those of a page, in order."""
    found = CONSOLE.findall(page.read_text(encoding="utf-8"))
    return [command for block in found for command in _of_block(block.splitlines())]


def files(page: Path) -> Mapping[str, str]:
    """Those that the page shows, by path."""
    return dict(FILE.findall(page.read_text(encoding="utf-8")))


def _is_program(word: str) -> bool:
    # Not `NAME=value`, and no word of the shell's own before a command.
    return "=" not in word and word not in ("do", "done", "then", "fi")


def _of_block(lines: list[str]) -> Iterator[Command]:
    while lines:
        first = lines.pop(0)
        assert PROMPT.match(first), f"no prompt: {first}"
        text = PROMPT.sub("", first)
        while not _is_whole(text):
            text += "\n" + lines.pop(0)
        printed = []
        while lines and not PROMPT.match(lines[0]):
            printed.append(lines.pop(0) + "\n")
        yield Command(text, "".join(printed))


def _is_whole(text: str) -> bool:
    if text.endswith("\\"):
        return False
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True
