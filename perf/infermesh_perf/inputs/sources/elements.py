"""Tensors from lists of elements, which have a shape of their own only where the lists are nested."""

from __future__ import annotations

from typing import Any

from infermesh_perf.inputs.shapes import of_count
from infermesh_perf.inputs.sources.wanted import Wanted
from infermesh_perf.target.tensors import Array
from infermesh_perf.target.values import from_values


def tensor(wanted: Wanted, name: str, values: Any) -> Array:
    """The tensor of a list, flat in row-major order or nested as its shape is, or of a single value.

    Raises ValueError for elements and counts that do not fit.
    """
    found = from_values(values if isinstance(values, list) else [values], wanted.tensor(name).datatype)
    return shaped(wanted, name, found)


def shaped(wanted: Wanted, name: str, array: Array) -> Array:
    """A flat array in its tensor's shape; one with several dimensions has said it itself."""
    if array.ndim != 1 or len(wanted.tensor(name).shape) == 1:
        return array
    return array.reshape(of_count(wanted.filled_tensor(name), array.size))
