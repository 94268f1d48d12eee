"""Values as JSON and tables have them, turned into tensors; nothing is rounded away unseen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from infermesh_perf.target.tensors import DTYPES, Array, objects, to_bfloat16


def from_values(values: Sequence[Any], datatype: str) -> Array:
    """The array of a list, flat or nested, in the list's own shape.

    Integers must fit their type; floats take the nearest value of theirs. BOOL takes true, false, 0 and 1;
    BYTES takes bytes, and text as UTF-8. Raises ValueError for other elements and for lists that do not form
    a tensor.
    """
    shape = _shape(values)
    flat = list(_flat(values, shape))
    return _typed(flat, datatype).reshape(shape)


def _shape(values: Sequence[Any]) -> tuple[int, ...]:
    shape: list[int] = []
    level: Any = values
    while isinstance(level, list | tuple):
        shape.append(len(level))
        if not level:
            break
        level = level[0]
    return tuple(shape)


def _flat(values: Any, shape: tuple[int, ...]) -> Iterator[Any]:
    if not shape:
        if isinstance(values, list | tuple):
            raise ValueError("found lists of different depths, expected a tensor")
        yield values
        return
    if not isinstance(values, list | tuple) or len(values) != shape[0]:
        raise ValueError("found lists of different lengths, expected a tensor")
    if len(shape) == 1:
        if any(isinstance(value, list | tuple) for value in values):
            raise ValueError("found lists of different depths, expected a tensor")
        yield from values
        return
    for value in values:
        yield from _flat(value, shape[1:])


def _typed(flat: list[Any], datatype: str) -> Array:
    kinds = {type(value) for value in flat}
    dtype = DTYPES[datatype]
    if datatype == "BYTES":
        _check(kinds, {str, bytes}, flat, "text")
        return objects([value.encode() if isinstance(value, str) else value for value in flat])
    if datatype == "BOOL":
        _check(kinds, {bool, int}, flat, "true or false")
        if wrong := [value for value in flat if value not in (0, 1)]:
            raise ValueError(f"found {wrong[0]}, expected true or false")
        return np.array(flat, dtype)
    if datatype == "BF16" or dtype.kind == "f":
        _check(kinds, {int, float}, flat, "numbers")
        floats = np.array(flat, np.float64)
        return to_bfloat16(floats.astype(np.float32)) if datatype == "BF16" else floats.astype(dtype)
    _check(kinds, {int}, flat, "whole numbers")
    limits = np.iinfo(dtype)
    if flat and not (limits.min <= min(flat) and max(flat) <= limits.max):
        wrong_one = next(value for value in flat if not limits.min <= value <= limits.max)
        raise ValueError(f"found {wrong_one}, expected {datatype}, {limits.min} to {limits.max}")
    return np.array(flat, dtype)


def _check(kinds: set[type], expected: set[type], flat: list[Any], what: str) -> None:
    if kinds - expected:
        wrong = next(value for value in flat if type(value) not in expected)
        raise ValueError(f"found {wrong!r:.80}, expected {what}")
