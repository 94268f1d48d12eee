"""Environments: what is laid over the rest of a file. Mappings are merged, anything else takes its place."""

from typing import Any

from infermesh.errors import ConfigurationError
from infermesh.remarks import Path
from infermesh.settings.document import YamlDocument
from infermesh.settings.validate import close_to

FIELD = "environments"


def choose(document: YamlDocument, environment: str | None) -> YamlDocument:
    """The document as one environment has it, with the line of each field where it was written.

    Raises ConfigurationError if there is no such environment.
    """
    if environment is None:
        return document
    data = document.data if isinstance(document.data, dict) else {}
    known = data.get(FIELD)
    known = known if isinstance(known, dict) else {}
    if environment not in known:
        raise ConfigurationError(
            f"{document.place((FIELD,))}: there is no environment '{environment}', expected "
            f"{close_to(environment, known)}"
        )
    origin: Path = (FIELD, environment)
    lines = dict(document.lines)
    for path, line in document.lines.items():
        if path[: len(origin)] == origin and len(path) > len(origin):
            lines[path[len(origin) :]] = line
    merged = _laid_over(data, known[environment])
    return YamlDocument(document.source, merged, lines)


def _laid_over(under: Any, over: Any) -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        laid = {
            name: _laid_over(under[name], value) if name in under else value for name, value in over.items()
        }
        return {**under, **laid}
    return over
