"""The guide for people who come from Triton says of every field what the code says.

`python servers/tests/test_migration_guide.py` writes the guide's tables anew.
"""

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from infermesh_servers.model.config_fields import IGNORED, SERVED
from infermesh_servers.model.options import ServeOptions

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "migrate-from-triton.md"


def table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {left} | {right} |" for left, right in rows]
    return "\n".join([f"| {head[0]} | {head[1]} |", "|-|-|", *lines, ""])


def tables() -> dict[str, str]:
    """By the sentence that each stands below."""
    served = (
        (f"`{message}`" if message else "", ", ".join(f"`{name}`" for name in names))
        for message, names in SERVED.items()
    )
    ignored = ((f"`{field}`", reason) for field, reason in IGNORED.items())
    return {
        "Served:": table(("in", "fields"), served),
        "Named in a warning, and of no effect:": table(("field", "why, and what to use"), ignored),
    }


def test_every_field_is_in_the_guide() -> None:
    guide = GUIDE.read_text()
    for sentence, rows in tables().items():
        assert f"\n{sentence}\n\n{rows}\n" in guide, "see the head of this file"


def test_every_flag_that_is_the_same_is_one() -> None:
    known = {f"--{field.name.replace('_', '-')}" for field in fields(ServeOptions)}
    rows = [row.split("|") for row in GUIDE.read_text().splitlines() if row.startswith("| `--")]
    same = [row[1] for row in rows if row[2].strip().startswith("the same")]
    flags = {part.split("`")[1].split("=")[0] for cell in same for part in cell.split(",")}
    assert flags
    assert flags <= known


def write() -> None:
    """Write the tables into the guide."""
    guide = GUIDE.read_text()
    for sentence, rows in tables().items():
        old = rf"(\n{re.escape(sentence)}\n\n)(?:\|.*\n)+"
        guide = re.sub(old, lambda match, rows=rows: match[1] + rows, guide)  # type: ignore[misc]
    GUIDE.write_text(guide)


if __name__ == "__main__":
    write()
