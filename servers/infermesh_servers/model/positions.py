"""Where in a text-format file each field is written, which the protobuf parser does not keep."""

import re
from collections.abc import Iterator

from infermesh.remarks import Path

_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<word>[\w.+-]+)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


def field_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every field in ``text``, which must have been parsed without an error.

    A field is listed under its path without indices for its first element, and with them for each:
    ``("input", 1, "dims")`` and, for the first input only, also ``("input",)`` and ``("input", 0)``. An entry
    of a map is listed under its key, too: ``("parameters", "intra_op_thread_count")``.
    """
    lines: dict[Path, int] = {}
    _message(_tokens(text), (), lines)
    return lines


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "skip":
            yield match.group(), line
        line += match.group().count("\n")


def _message(tokens: Iterator[tuple[str, int]], at: Path, lines: dict[Path, int]) -> None:
    counts: dict[str, int] = {}
    for token, line in tokens:
        if token in "}>":
            return
        if token in ",;":
            continue
        if not token[0].isalpha() and token[0] != "_":
            # The value of the field before, or a string continued after it.
            continue
        _field(token, line, tokens, at, counts, lines)


def _field(
    name: str,
    line: int,
    tokens: Iterator[tuple[str, int]],
    at: Path,
    counts: dict[str, int],
    lines: dict[Path, int],
) -> None:
    depth = 0
    for token, token_line in tokens:
        if token == ":":
            continue
        if token == "[":
            depth += 1
            continue
        if token == "]":
            return
        if token == ",":
            continue
        index = counts.get(name, 0)
        counts[name] = index + 1
        element = (*at, name, index)
        lines.setdefault((*at, name), line)
        lines[element] = token_line if depth else line
        if name == "key" and token[0] in "\"'":
            lines.setdefault((*at[:-1], token[1:-1]), line)
        if token in "{<":
            _message(tokens, element, lines)
        if not depth:
            return
