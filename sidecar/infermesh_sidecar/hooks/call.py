"""What a function is called with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Input:
    """What the model says of one of its inputs."""

    name: str
    #: As the protocol names it: FP32, INT64, BYTES...
    datatype: str
    #: With -1 for any size.
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as the fields of an enrichment see it."""

    #: The enrichment's name.
    rule: str
    model: str
    #: By the names under ``inputs`` of the enrichment. A value of a JSON body is what ``json`` makes of it, a
    #: header or a query parameter is text, and a path with ``[*]`` is a list.
    fields: Mapping[str, Any]
    #: Of the model: those that may be filled.
    inputs: tuple[Input, ...]


def parse(message: bytes) -> tuple[str, Call]:
    """Return the name of a function, and what it is called with. The data plane has written it.

    Raises ValueError or RecursionError for what Python does not take: numbers of thousands of digits, lists
    that are nested as deep.
    """
    said = json.loads(message)
    inputs = tuple(Input(it["name"], it["datatype"], tuple(it["shape"])) for it in said["inputs"])
    return said["function"], Call(said["rule"], said["model"], said["fields"], inputs)
