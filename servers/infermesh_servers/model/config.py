"""Reads config.pbtxt; an error names the file, the line, the field, what was found and what is expected."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format, text_format
from google.protobuf.descriptor import Descriptor
from infermesh.errors import ConfigurationError
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh.remarks import Remark

from infermesh_servers.model.config_rules import broken_rules
from infermesh_servers.model.config_warnings import warnings
from infermesh_servers.model.positions import field_lines

FILE_NAME = "config.pbtxt"


@dataclass(frozen=True)
class CheckedConfig:
    """A configuration that keeps the rules, and what it says in vain, in one sentence each."""

    config: ModelConfig
    warnings: tuple[str, ...]


def read_config(path: Path, model_name: str, files: Iterable[str] = ()) -> CheckedConfig:
    """Read and check one file; ``name`` is filled in from the model's directory if the file leaves it out.

    ``files`` are the names in the version directories, which may say what the configuration does not.
    Raises ConfigurationError with one line per mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    config = ModelConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise ConfigurationError(f"{path}:{_explain(error, text)}") from error

    lines: dict[tuple[str | int, ...], int] | None = None

    def place(rule: Remark) -> str:
        # Most files have nothing to remark, and a repository may hold a thousand of them.
        nonlocal lines
        lines = field_lines(text) if lines is None else lines
        return f"{path}:{rule.line(lines)}: {rule.text}"

    if broken := broken_rules(config, model_name):
        raise ConfigurationError("\n".join(map(place, broken)))
    config.name = model_name
    return CheckedConfig(config, tuple(map(place, warnings(config, files))))


def parse_override(text: str, model_name: str) -> CheckedConfig:
    """As ``read_config``, for a configuration in JSON, with names as in config.pbtxt or in camelCase."""
    config = ModelConfig()
    try:
        # An empty list or null would pass for a configuration that says nothing.
        if not text.lstrip().startswith("{"):
            raise ValueError("found no object")
        json_format.Parse(text, config)
    except (json_format.ParseError, RecursionError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"the config override is no ModelConfig in JSON: {error}") from error
    if broken := broken_rules(config, model_name):
        raise ConfigurationError("\n".join(f"config override: {rule.text}" for rule in broken))
    config.name = model_name
    return CheckedConfig(config, tuple(f"config override: {remark.text}" for remark in warnings(config)))


def _explain(error: text_format.ParseError, text: str) -> str:
    """Return ``line: field: found ..., expected ...`` for a mistake the protobuf parser stopped at."""
    line, column = error.GetLine(), error.GetColumn()
    if line is None or column is None:
        return f" {error}"
    # The parser puts its position, and often the whole line, in front of what it has to say.
    said = re.sub(r"^\d+:\d+ : ", "", str(error))
    source = text.splitlines()[line - 1] if line <= len(text.splitlines()) else ""
    said = said.removeprefix(f"'{source}': ")
    return f"{line}: {_in_our_words(said, _field_before(source, column))}"


def _field_before(source: str, column: int) -> str:
    """Return the name of the field whose value starts at a column, or an empty string."""
    names: list[str] = re.findall(r"(\w+)\s*(?:[:{<\[]|$)", source[: max(column - 1, 0)].rstrip("\"'"))
    return names[-1] if names else ""


def _in_our_words(said: str, field: str) -> str:
    if match := re.match(r'Message type "([\w.]+)" has no field named "(.*)"', said):
        return _unknown_field(match[1], match[2])
    if match := re.match(r'Message type "[\w.]+" should not have multiple "(\w+)" fields', said):
        return f"{match[1]}: found a second one, expected it once"
    if match := re.match(r'Field "(\w+)" is specified along with field "(\w+)"', said):
        return f"{match[1]}: found beside {match[2]}, expected only one of the two"
    if match := re.match(r'Enum type "([\w.]+)" has no value named (\S+)\.', said):
        expected = ", ".join(ModelConfig.DESCRIPTOR.file.pool.FindEnumTypeByName(match[1]).values_by_name)
        return f"{field}: found {match[2]}, expected one of {expected}"
    if match := re.match(r"Couldn't parse integer: (.*)", said):
        return f"{field}: found {match[1]}, expected a whole number"
    if match := re.match(r"Couldn't parse float: (.*)", said):
        return f"{field}: found {match[1]}, expected a number"
    if match := re.match(r"Expected string but found: '(.*)'", said):
        return f'{field}: found {match[1]}, expected a string in quotes: "{match[1]}"'
    return f"{field}: {said}" if field else said


def _unknown_field(message: str, found: str) -> str:
    descriptor: Descriptor = ModelConfig.DESCRIPTOR.file.pool.FindMessageTypeByName(message)
    known = list(descriptor.fields_by_name)
    close = difflib.get_close_matches(found, known, n=1)
    expected = close[0] if close else f"one of {', '.join(known)}"
    return f"{found}: found an unknown field of {descriptor.name}, expected {expected}"
