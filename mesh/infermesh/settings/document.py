"""What somebody wrote: a YAML file with the line of every field, or the options of a command line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, Protocol

import yaml

from infermesh.errors import ConfigurationError
from infermesh.remarks import BrokenRule, Path

_TAG = "tag:yaml.org,2002:"


class Document(Protocol):
    """Values of YAML's own types, and what to call the place of each."""

    @property
    def source(self) -> str:
        """What it is called itself."""

    @property
    def data(self) -> Any:
        """Mappings, lists, text, numbers, booleans and None."""

    def place(self, path: Path) -> str:
        """What a sentence about a field begins with; the field need not have been written."""

    def order(self, path: Path) -> int:
        """What sentences about fields are sorted by."""


@dataclass(frozen=True)
class YamlDocument:
    """The contents of one file, and where they are in it."""

    source: str
    data: Any
    #: From 1.
    lines: Mapping[Path, int]

    @classmethod
    def read(cls, file: File) -> "YamlDocument":
        """Read a file; raises ConfigurationError, with the line, if it cannot be read or is no YAML."""
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{file}: cannot be read: found no UTF-8: {error.reason}") from error
        return cls.parse(text, str(file))

    @classmethod
    def parse(cls, text: str, source: str) -> "YamlDocument":
        """As ``read``; ``source`` is what errors call the text."""
        reader = _Reader()
        try:
            node = _Loader(text).get_single_node()
            data = {} if node is None else reader.value(node, ())
        except yaml.MarkedYAMLError as error:
            raise ConfigurationError(_explain(source, error)) from error
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{source}: found no YAML: {error}") from error
        document = cls(source, data, reader.lines)
        if reader.broken:
            raise ConfigurationError(
                "\n".join(f"{document.place(it.path)}: {it.text}" for it in reader.broken)
            )
        return document

    def place(self, path: Path) -> str:
        """File, line and name."""
        written = as_written(self.data, path)
        place = f"{self.source}:{self.order(path)}"
        return f"{place}: {dotted(written)}" if written else place

    def order(self, path: Path) -> int:
        """The line, of what is around the field if that has not been written."""
        return BrokenRule(as_written(self.data, path), "").line(self.lines)


@dataclass(frozen=True)
class OptionsDocument:
    """A document that a command line stands for."""

    source: str
    data: Any
    #: Which option says what.
    options: Mapping[Path, str]

    def place(self, path: Path) -> str:
        """The option, or the field's name if none says it."""
        written = as_written(self.data, path)
        for length in range(len(written), 0, -1):
            if option := self.options.get(written[:length]):
                return option
        return dotted(written)

    def order(self, path: Path) -> int:  # noqa: ARG002 - the protocol's signature
        """As they come: a command line has no lines."""
        return 0


def dotted(path: Path) -> str:
    """A place as people write it: ``services.fraud.endpoints[1]``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def as_written(data: Any, path: Path) -> Path:
    """A place without the steps that a short form leaves out: the first of a list, the field of a section."""
    written: list[str | int] = []
    value: Any = data
    for step in path:
        # What is below something that is missing is missing with it.
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else None
        else:
            continue
        written.append(step)
    return tuple(written)


class _Loader(yaml.SafeLoader):
    """Scalars as YAML 1.2 has them: ``off`` and ``12:30`` are text, and dates are, too."""


_Loader.yaml_implicit_resolvers = {
    None: [
        (f"{_TAG}bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$")),
        (f"{_TAG}null", re.compile(r"(~|null|Null|NULL|)$")),
        (f"{_TAG}int", re.compile(r"([-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$")),
        (
            f"{_TAG}float",
            re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$"),
        ),
        (f"{_TAG}merge", re.compile(r"<<$")),
    ]
}


@dataclass
class _Reader:
    """Makes values of nodes, and notes their lines on the way."""

    lines: dict[Path, int] = field(default_factory=dict)
    broken: list[BrokenRule] = field(default_factory=list)
    #: Nodes whose values are being made.
    _open: list[yaml.Node] = field(default_factory=list)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if any(node is it for it in self._open):
            self.broken.append(
                BrokenRule(path, "found an alias of what it is part of, expected one of something else")
            )
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return _scalar(node)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                for mapping in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    # What is there already takes precedence.
                    merged = {**self._merge(mapping, path), **merged}
                continue
            if not isinstance(key, yaml.ScalarNode):
                self.broken.append(
                    BrokenRule(path, "found a name that is a mapping or a list, expected text")
                )
                continue
            # Its text, also where it looks like a number.
            name = key.value
            self.lines[(*path, name)] = key.start_mark.line + 1
            if name in own:
                self.broken.append(BrokenRule((*path, name), "found a second one, expected it once"))
            own[name] = self.value(value, (*path, name))
        return {**merged, **own}

    def _merge(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            self.broken.append(BrokenRule((*path, "<<"), "found something else than a mapping to merge"))
            return {}
        # Its lines are those where it is written, unless the fields are written here as well.
        merged: dict[str, Any] = self.value(node, path)
        return merged


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    try:
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text, 0)
            case "float":
                return float(text)
    except ValueError:
        # Somebody's own tag, or more digits than a number has.
        pass
    return text


def _explain(source: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = source if mark is None else f"{source}:{mark.line + 1}"
    said = ", ".join(filter(None, (error.context, error.problem)))
    return f"{where}: found no YAML: {said}"
