"""Result files: documents as JSON, written whole and read with every mistake named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from infermesh_perf.errors import SetupError
from infermesh_perf.results.document import SCHEMA, Comparison, Run

_KINDS = ("run", "search", "scenario", "comparison")
_DOCUMENT: TypeAdapter[Run | Comparison] = TypeAdapter(
    Annotated[Run | Comparison, Field(discriminator="kind")]
)


def save(document: Run | Comparison, path: Path) -> None:
    """Writes indented JSON, for a diff to show; makes the directory. Raises SetupError if that cannot be."""
    write_text(path, document.model_dump_json(indent=1) + "\n")


def load(path: Path) -> Run | Comparison:
    """Reads what `save` wrote. Raises SetupError if it is missing, not ours or of another schema."""
    found = _parse(path, _read(path))
    kind = found.get("kind")
    if kind not in _KINDS or "schema_version" not in found:
        raise SetupError(
            f"{path} holds no result: found JSON without a `kind` and a `schema_version`, expected both",
            hint="give the JSON file that a run, search or comparison of `infermesh perf` has written",
        )
    if found["schema_version"] != SCHEMA:
        raise SetupError(
            f"{path} has schema {found['schema_version']!r}, expected {SCHEMA}",
            hint="read it with the release that wrote it, or measure again with this one",
        )
    try:
        return _DOCUMENT.validate_python(found)
    except ValidationError as error:
        raise SetupError(
            f"{path} is no complete result: {_first(error)}",
            hint="it was changed by hand or written by another release: measure again",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all, with its directory. Raises SetupError if it cannot be written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise SetupError(
            f"{path} cannot be written: {error.strerror}",
            hint="name a file in a directory that may be written",
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SetupError(f"{path}: there is no such file", hint="name a result file in JSON") from error
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{path} is no text, expected JSON", hint="name a result file in JSON") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        page = text.lstrip()[:9].lower() == "<!doctype"
        raise SetupError(
            f"{path} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}",
            hint="this is a report: save the raw data from it and give that file" if page else None,
        ) from error
    return found if isinstance(found, dict) else {}


def _first(error: ValidationError) -> str:
    """The first mistake with the place of its field; the union's own part of the place says nothing."""
    mistake = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in mistake["loc"][1:])
    return f"{place}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}"
