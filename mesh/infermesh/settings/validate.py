"""Turns a document into a model, or into a sentence for each mistake: where, what found, what expected."""

import difflib
import re
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from infermesh.errors import ConfigurationError
from infermesh.remarks import BrokenRule, Path
from infermesh.settings.document import Document
from infermesh.settings.section import fields_at

M = TypeVar("M", bound=BaseModel)

#: Alternatives that are worth naming all.
_MANY = 5

#: What pydantic calls an error, and what is expected instead; in braces, what it knows about the field.
_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:g} at most",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_type": "a mapping",
    "string_too_short": "text that is not empty",
    "string_type": "text",
    "too_short": "at least {min_length}",
    "value_error": "{error}",
}


def validate(model: type[M], document: Document) -> M:
    """Read a document as a model; raises ConfigurationError with one line per mistake."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise broken(document, (_rule(model, it) for it in error.errors())) from error


def broken(document: Document, rules: Iterable[BrokenRule]) -> ConfigurationError:
    """One error for all mistakes, in the order of the document."""
    ordered = sorted(rules, key=lambda it: document.order(it.path))
    return ConfigurationError("\n".join(f"{document.place(it.path)}: {it.text}" for it in ordered))


def close_to(name: str, known: Iterable[str]) -> str:
    """What is expected in place of a name that is none: the one that was meant, or all."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return close[0] if close else f"one of {', '.join(names)}" if names else "none at all"


def _rule(model: type[BaseModel], error: ErrorDetails) -> BrokenRule:
    path: Path = tuple(step for step in error["loc"] if step != "[key]")
    kind, found = error["type"], _shown(error["input"])
    if kind == "missing":
        field = fields_at(model, path[:-1])[str(path[-1])]
        return BrokenRule(path, f"is missing, expected: {field.description}")
    if kind == "extra_forbidden":
        known = fields_at(model, path[:-1])
        return BrokenRule(path, f"found an unknown field, expected {close_to(str(path[-1]), known)}")
    if kind == "literal_error" and (close := _meant(error)):
        return BrokenRule(path, f"found {found}, expected {close!r}")
    if kind in _EXPECTED:
        return BrokenRule(path, f"found {found}, expected {_EXPECTED[kind].format(**error.get('ctx', {}))}")
    return BrokenRule(path, f"found {found}: {error['msg']}")


def _meant(error: ErrorDetails) -> str | None:
    """Of several words, the one that was mistyped."""
    words = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    close = difflib.get_close_matches(str(error["input"]), words, n=1) if len(words) > _MANY else []
    return close[0] if close else None


def _shown(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value if len(value) <= 80 else f"{value[:77]}...")
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case _:
            return str(value)
