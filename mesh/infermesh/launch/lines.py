"""What processes write, interleaved: whose it is, and what it says."""

import itertools
import json
import sys
from collections.abc import Callable
from typing import Literal, TextIO

from rich.console import Console
from rich.text import Text

Format = Literal["text", "json"]

_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")
_LEVELS = {"warn": "yellow", "warning": "yellow", "error": "red", "critical": "red", "fatal": "red"}


def text_lines(console: Console, width: int) -> Callable[[str, str], None]:
    """A function that prints a line of somebody; records of ECS are printed as what they say."""
    colours = itertools.cycle(_COLOURS)
    known: dict[str, str] = {}

    def say(name: str, line: str) -> None:
        colour = known.get(name) or known.setdefault(name, next(colours))
        level, message = read(line)
        shown = Text(f"{name:<{width}} │ ", style=colour)
        shown.append(message, style=_LEVELS.get(level, ""))
        console.print(shown, soft_wrap=True, highlight=False)

    return say


def json_lines(output: TextIO = sys.stdout) -> Callable[[str, str], None]:
    """A function that writes each line as a JSON object: as it is, if it is one already."""

    def say(name: str, line: str) -> None:
        record = _record(line) or {"message": line}
        print(json.dumps({**record, "infermesh.process": name}, ensure_ascii=False), file=output, flush=True)

    return say


def read(line: str) -> tuple[str, str]:
    """The level of a record, and its message; of any other line, nothing and the line."""
    record = _record(line)
    if record is None:
        return "", line
    trace = f"\n{record['error.stack_trace']}" if "error.stack_trace" in record else ""
    return str(record.get("log.level", "")), f"{record['message']}{trace}"


def _record(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "message" in record else None
