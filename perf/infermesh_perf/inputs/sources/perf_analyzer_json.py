"""The JSON of perf_analyzer, as its documentation on input data describes it.

`data` is a list of samples, or a list of lists of them: streams, one for each sequence. A sample has a tensor
for each input: a flat list in row-major order, `{"content": ..., "shape": [...]}` with a shape of its own, or
`{"b64": "..."}` in either place with raw little-endian bytes in base64 (texts with 4 bytes of length in
front). `validation_data` has the outputs to expect in the same form and order. Nested lists and single values
are taken as well.
"""

from __future__ import annotations

import base64
import binascii
import json
from math import prod
from typing import Any

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.shapes import of_count
from infermesh_perf.inputs.sources import elements
from infermesh_perf.inputs.sources.wanted import Wanted
from infermesh_perf.target.tensors import Array, count_in_raw, from_raw
from infermesh_perf.target.values import from_values

_DOCUMENT = 'perf_analyzer\'s form: {"data": [{"INPUT": [...]}, ...]}'
_FORMS = 'a list, {"content": [...], "shape": [...]} or {"b64": "..."}'


def read(wanted: Wanted, *sections: str) -> list[list[Tensors]] | None:
    """The streams of the first of the sections that is there, one if the samples are not in streams.

    None if there is none of them. Raises SetupError for anything that the format or the model does not have.
    """
    try:
        document: Any = json.loads(wanted.path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SetupError(f"{wanted.path}: cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise SetupError(f"{wanted.path}: found no JSON object, expected {_DOCUMENT}")
    section = next((name for name in sections if name in document), None)
    return None if section is None else _streams(wanted, section, document[section])


def read_required(wanted: Wanted, *sections: str) -> list[list[Tensors]]:
    """As `read`; raises SetupError if none of the sections is there."""
    found = read(wanted, *sections)
    if found is None:
        raise SetupError(f"{wanted.path}: found no {' and no '.join(sections)}, expected {_DOCUMENT}")
    return found


def _streams(wanted: Wanted, section: str, samples: Any) -> list[list[Tensors]]:
    if not isinstance(samples, list) or not samples or samples == [[]]:
        raise SetupError(f"{wanted.path}: {section}: expected a list of samples, one at least")
    nested = [isinstance(sample, list) for sample in samples]
    if any(nested) and not all(nested):
        raise SetupError(f"{wanted.path}: {section}: found samples beside lists, expected one of the two")
    if not any(nested):
        return [[_sample(wanted, sample, str(at)) for at, sample in enumerate(samples)]]
    if not all(samples):
        raise SetupError(f"{wanted.path}: {section}: found a stream without samples, expected one at least")
    return [
        [_sample(wanted, sample, f"{at} of stream {stream}") for at, sample in enumerate(steps)]
        for stream, steps in enumerate(samples)
    ]


def _sample(wanted: Wanted, sample: Any, place: str) -> Tensors:
    if not isinstance(sample, dict):
        raise SetupError(f"{wanted.path}: sample {place}: expected an object of {wanted.kind}s by name")
    wanted.check_names(sample)
    row: Tensors = {}
    for name, value in sample.items():
        try:
            row[name] = _tensor(wanted, name, value)
        except (ValueError, TypeError) as error:
            raise wanted.error(name, error, place) from error
    return wanted.checked(row, place)


def _tensor(wanted: Wanted, name: str, value: Any) -> Array:
    if not isinstance(value, dict):
        return elements.tensor(wanted, name, value)
    content, shape = (value, None) if "b64" in value else (value.get("content"), value.get("shape"))
    if set(value) - {"content", "shape", "b64"} or content is None:
        raise ValueError(f"found an object with {', '.join(value) or 'nothing'}, expected {_FORMS}")
    if shape is None:
        return (
            _raw(wanted, name, content)
            if isinstance(content, dict)
            else elements.tensor(wanted, name, content)
        )
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"found the shape {shape!r}, expected a list of sizes")
    datatype = wanted.tensor(name).datatype
    if isinstance(content, dict):
        return from_raw(datatype, shape, _decoded(content))
    found = from_values(content if isinstance(content, list) else [content], datatype)
    if found.size != prod(shape):
        raise ValueError(f"found {found.size} elements, expected {prod(shape)} for the shape {shape}")
    return found.reshape(shape)


def _raw(wanted: Wanted, name: str, content: dict[str, Any]) -> Array:
    tensor, raw = wanted.filled_tensor(name), _decoded(content)
    return from_raw(tensor.datatype, of_count(tensor, count_in_raw(tensor.datatype, raw)), raw)


def _decoded(content: dict[str, Any]) -> bytes:
    if set(content) != {"b64"} or not isinstance(content["b64"], str):
        raise ValueError(f"found {content!r:.80}, expected {_FORMS}")
    try:
        return base64.b64decode(content["b64"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"expected base64: {error}") from error
