"""Writes HCL: attributes, and blocks of further ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

Value = Union[str, int, bool, Sequence["Value"], Mapping[str, "Value"], "Expression"]

#: A longer list is written with a line for each value.
_LINE = 90

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True)
class Expression:
    """Text as HCL has it: a call, or text with variables that Nomad knows."""

    text: str


@dataclass(frozen=True)
class Attribute:
    """A name with a value."""

    name: str
    value: Value


@dataclass(frozen=True)
class Block:
    """A type, labels, and attributes or blocks in their order."""

    type: str
    labels: Sequence[str]
    body: Sequence["Attribute | Block"]


Body = Sequence[Attribute | Block]


def block(block_type: str, *labels: str, inside: Body = (), **values: Value) -> Block:
    """A block of attributes by name, and of what is inside beside them."""
    return Block(block_type, labels, [*attributes(values), *inside])


def attributes(values: Mapping[str, Value]) -> list[Attribute]:
    """One for each."""
    return [Attribute(name, value) for name, value in values.items()]


def text(body: Body) -> str:
    """A whole file."""
    return "\n".join(_body(body)) + "\n"


def quoted(value: str) -> str:
    """A literal, in which nothing is evaluated."""
    plain = "".join(_ESCAPES.get(it) or (it if it.isprintable() else f"\\U{ord(it):08x}") for it in value)
    return '"' + plain.replace("${", "$${").replace("%{", "%%{") + '"'


def _body(body: Body) -> Iterator[str]:
    for index, it in enumerate(body):
        if isinstance(it, Attribute):
            first, *rest = _value(it.value)
            yield f"{it.name} = {first}"
            yield from rest
            continue
        if index:
            yield ""
        yield " ".join([it.type, *map(quoted, it.labels), "{"])
        yield from (f"  {line}" if line else "" for line in _body(it.body))
        yield "}"


def _value(value: Value) -> list[str]:
    match value:
        case Expression():
            return [value.text]
        case bool():
            return ["true" if value else "false"]
        case int():
            return [str(value)]
        case str():
            return [quoted(value)]
        case Mapping():
            lines = _body([Attribute(_key(name), it) for name, it in value.items()])
            return ["{", *(f"  {line}" for line in lines), "}"]
        case _:
            return _list(value)


def _list(values: Sequence[Value]) -> list[str]:
    written = [_value(it) for it in values]
    line = f"[{', '.join(it[0] for it in written)}]"
    if all(len(it) == 1 for it in written) and len(line) <= _LINE:
        return [line]
    return ["[", *(f"  {line}" for it in written for line in [*it[:-1], f"{it[-1]},"]), "]"]


def _key(name: str) -> str:
    return name if name.isidentifier() else quoted(name)
