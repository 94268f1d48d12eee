"""The guide for people who come from Triton says of every field what the code says."""

from pathlib import Path

from infermesh_servers.model.config_fields import IGNORED, SERVED

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "migrate-from-triton.md"


def test_every_field_is_in_the_guide() -> None:
    rows = GUIDE.read_text().splitlines()
    for message, fields in SERVED.items():
        assert (
            f"| {f'`{message}`' if message else ''} | {', '.join(f'`{field}`' for field in fields)} |" in rows
        )
    for field, reason in IGNORED.items():
        assert f"| `{field}` | {reason} |" in rows


def test_every_flag_that_is_the_same_is_one() -> None:
    from dataclasses import fields

    from infermesh_servers.model.options import ServeOptions

    known = {f"--{field.name.replace('_', '-')}" for field in fields(ServeOptions)}
    rows = [row.split("|") for row in GUIDE.read_text().splitlines() if row.startswith("| `--")]
    same = [row[1] for row in rows if row[2].strip().startswith("the same")]
    flags = {part.split("`")[1].split("=")[0] for cell in same for part in cell.split(",")}
    assert flags
    assert flags <= known
