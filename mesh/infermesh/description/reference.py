"""Writes docs/mesh-reference.md: `python -m infermesh.description.reference > docs/mesh-reference.md`.

It is made from the schema, with the parts that are installed, and a test holds the file against it.
"""

from pathlib import Path

from infermesh.description.read import schema
from infermesh.settings.reference import reference as of_schema

#: What people have to know before they look something up.
HEAD = Path(__file__).with_name("reference_head.md")


def reference() -> str:
    """The page."""
    return "\n".join([HEAD.read_text(encoding="utf-8"), of_schema(schema())])


if __name__ == "__main__":
    print(reference(), end="")
