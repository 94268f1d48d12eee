"""Types of the fields of a schema: how a value is written, read, shown again and described to an editor."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
)
from pydantic_core import CoreSchema, core_schema

from infermesh.settings.values import (
    ExpectedError,
    check_endpoint,
    check_host_and_port,
    check_listen_address,
    format_duration,
    format_share,
    format_size,
    parse_duration,
    parse_share,
    parse_size,
)

JsonSchema = dict[str, Any]


class Form:
    """What people call a kind of value, and how editors know one."""

    def __init__(self, name: str, schema: JsonSchema) -> None:
        self.name = name
        self._schema = schema

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchema:
        return dict(self._schema)


class Text(Form):
    """Text that a pattern matches as a whole; the pattern is read by Python and by editors."""

    def __init__(self, name: str, pattern: str, *examples: str) -> None:
        super().__init__(name, {"type": "string", "pattern": f"^{pattern}$", "examples": list(examples)})
        self._pattern = re.compile(pattern)
        self._expected = f"a {name} such as {examples[0]}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: str) -> str:
        if not self._pattern.fullmatch(value):
            raise ExpectedError(self._expected)
        return value


def _written(name: str, pattern: str, *examples: str) -> Form:
    """Of text that something else checks."""
    return Form(name, {"type": "string", "pattern": f"^{pattern}$", "examples": list(examples)})


def _not_zero(value: timedelta) -> timedelta:
    if not value:
        raise ExpectedError("a time above 0")
    return value


def _not_none(value: float) -> float:
    if not value:
        raise ExpectedError("a share above 0%")
    return value


#: A time, zero included.
DurationOrZero = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    _written("time", r"\d+(\.\d+)?(us|ms|s|m|h|d)", "50ms", "1.5s", "2m"),
]
Duration = Annotated[DurationOrZero, AfterValidator(_not_zero)]

#: Bytes, at least one.
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size),
    _written("size", r"\d+(\.\d+)? ?([kMG]?B|[KMGT]iB)", "64KiB", "16MiB"),
]

#: From 0 to 1.
ShareOrNone = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(format_share),
    Form(
        "share",
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?%$", "examples": ["1%"]},
                {"type": "number", "minimum": 0, "maximum": 1},
            ]
        },
    ),
]
Share = Annotated[ShareOrNone, AfterValidator(_not_none)]

ListenAddress = Annotated[
    str,
    AfterValidator(check_listen_address),
    _written("address to listen on", r"(unix:.+|.+:\d+)", "127.0.0.1:15001", "unix:/run/sidecar.sock"),
]
Endpoint = Annotated[
    str,
    AfterValidator(check_endpoint),
    _written("address", r"(unix:.+|.+:\d+)", "127.0.0.1:8001", "unix:/run/app.sock"),
]
HostAndPort = Annotated[
    str, AfterValidator(check_host_and_port), _written("host and port", r".+:\d+", "127.0.0.1:15000")
]


class OnOrOff:
    """Of an optional section: ``true`` is the section with nothing in it, ``false`` is none."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            _switched,
            handler(source),
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda value, inner: False if value is None else inner(value)
            ),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        section = [it for it in handler(core)["anyOf"] if it != {"type": "null"}]
        return {"anyOf": [*section, {"type": "boolean"}]}


class OrOff:
    """Of an optional value: ``false`` is none, also where there is a default."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            _or_off,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: False if value is None else value
            ),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        value = [it for it in handler(core)["anyOf"] if it != {"type": "null"}]
        return {"anyOf": [*value, {"const": False}]}


class OneOrMany:
    """Of a list: one element by itself is a list of it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        described = handler(core)
        several = next(it for it in described.get("anyOf", [described]) if "items" in it)
        return {"anyOf": [several["items"], several]}


@dataclass(frozen=True)
class Short:
    """Of a section: text by itself is what this field of it says."""

    field: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def expanded(value: Any) -> Any:
            return {self.field: value} if isinstance(value, str) else value

        return core_schema.no_info_before_validator_function(expanded, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {"anyOf": [{"type": "string"}, handler(core)]}


def _switched(value: Any) -> Any:
    if value is True:
        return {}
    if value is False:
        return None
    if isinstance(value, dict):
        return value
    raise ExpectedError("true, false or a mapping")


def _or_off(value: Any) -> Any:
    if value is None or value is True:
        raise ExpectedError("text, or false")
    return None if value is False else value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]
