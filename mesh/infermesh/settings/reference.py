"""Writes a schema down in Markdown: a table for each section, linked to each other."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infermesh.settings.forms import Form, OneOrMany, OnOrOff, OrOff, Short
from infermesh.settings.section import Section
from infermesh.settings.values import format_duration, format_share, format_size

_WORDS: dict[Any, str] = {
    bool: "`true` or `false`",
    int: "number",
    float: "number",
    str: "text",
    Any: "anything",
}


def reference(root: type[BaseModel]) -> str:
    """All sections that there are, in the order in which one comes upon them."""
    sections: list[type[BaseModel]] = [root]
    for section in sections:
        sections += [it for it in dict.fromkeys(_mentioned(section)) if it not in sections]
    return "\n".join(map(_section, sections))


def title(section: type[BaseModel]) -> str:
    """What a section is called: ``rate_limit`` of RateLimit."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", section.__name__).lower()


def _section(section: type[BaseModel]) -> str:
    rows = "\n".join(_row(name, field) for name, field in _own(section))
    table = f"\n| field | value | default | |\n|-|-|-|-|\n{rows}\n" if rows else ""
    also = " and ".join(map(_link, _bases(section)))
    shared = f"\nFields of {also} are fields of it, too.\n" if also else ""
    return f"## {title(section)}\n\n{_text(section.__doc__ or '')}\n{table}{shared}"


def _own(section: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """What a section says itself, rather than what it is based on."""
    for name in section.__annotations__:
        field = section.model_fields.get(name)
        if field is not None:
            yield field.alias or name, field


def _bases(section: type[BaseModel]) -> list[type[BaseModel]]:
    return [it for it in section.__bases__ if issubclass(it, Section) and it is not Section]


def _mentioned(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for _, field in _own(section):
        yield from _sections_in(field.annotation)
    yield from _bases(section)


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)


def _row(name: str, field: FieldInfo) -> str:
    kind = _cell(_kind(field.annotation, field.metadata))
    return f"| `{name}` | {kind} | {_cell(_default(field))} | {_cell(field.description or '')} |"


def _kind(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What may be written, in words."""
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        return _kind(annotation, [*metadata, *more])
    words = next((it.name for it in metadata if isinstance(it, Form)), None) or _words(annotation)
    for it in metadata:
        match it:
            case OnOrOff():
                words += ", or `true` or `false`"
            case OrOff():
                words += ", or `false`"
            case Short(field=field):
                words += f", or its `{field}` alone"
            case OneOrMany():
                words += ", or one alone"
    return words


def _words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_kind(it) for it in arguments if it is not NoneType)
    if origin is Literal:
        return ", ".join(f"`{it}`" for it in arguments)
    if origin is list:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"mapping of {_kind(arguments[0])} to {_kind(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _link(annotation)
    return _WORDS[annotation]


def _default(field: FieldInfo) -> str:
    """As it would be written."""
    value = field.default
    form = _form(field.annotation, field.metadata)
    match value:
        case _ if field.is_required():
            return "required"
        case None | [] | {}:
            return ""
        case BaseModel():
            return "on" if any(isinstance(it, OnOrOff) for it in field.metadata) else ""
        case timedelta():
            return f"`{format_duration(value)}`"
        case float() if form == "share":
            return f"`{format_share(value)}`"
        case int() if form == "size":
            return f"`{format_size(value)}`"
        case bool():
            return f"`{str(value).lower()}`"
        case list():
            return ", ".join(f"`{it}`" for it in value)
        case float():
            return f"`{value:g}`"
        case _:
            return f"`{value}`"


def _form(annotation: Any, metadata: Sequence[Any]) -> str | None:
    found = [it.name for it in metadata if isinstance(it, Form)]
    for argument in get_args(annotation):
        if get_origin(argument) is Annotated:
            found += [it.name for it in argument.__metadata__ if isinstance(it, Form)]
    return found[0] if found else None


def _link(section: type[BaseModel]) -> str:
    return f"[{title(section)}](#{title(section)})"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _text(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())
