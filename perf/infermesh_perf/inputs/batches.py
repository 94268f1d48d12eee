"""Puts rows together to requests."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Sample, Script, Tensors
from infermesh_perf.target.model import ModelSpec, TensorSpec


def batch_size(model: ModelSpec, asked: int | None) -> int:
    """The rows of each request: what was asked for, or 1.

    Raises SetupError for a size that the model does not take.
    """
    if asked is None:
        return 1
    if asked < 1:
        raise SetupError(f"-b: found {asked}, expected at least 1")
    if asked == 1:
        return 1
    if not model.max_batch_size:
        raise SetupError(
            f"-b {asked}: model {model.name!r} does not batch (max_batch_size is 0), expected 1",
            hint="leave out -b, and give dimensions with --shape",
        )
    if model.sequence:
        raise SetupError(f"-b {asked}: model {model.name!r} has sequences, whose requests have one row each")
    if asked > model.max_batch_size:
        raise SetupError(f"-b {asked}: model {model.name!r} takes at most {model.max_batch_size}")
    return asked


def script(model: ModelSpec, rows: Sequence[Tensors], expected: Sequence[Tensors], batch: int) -> Script:
    """Requests of `batch` consecutive rows each; the last one is filled up with the first rows.

    `expected` is as long as `rows`, or empty. Raises SetupError for rows that have not the same inputs, or
    not the same shapes, where they share a request.
    """
    if not model.max_batch_size:
        outputs = expected or [{} for _ in rows]
        return [Sample(row, wanted) for row, wanted in zip(rows, outputs, strict=True)]
    requests = []
    for index in range(ceil(len(rows) / batch)):
        places = [(index * batch + place) % len(rows) for place in range(batch)]
        inputs = _join(model.inputs, rows, places)
        wanted = _join(model.outputs, expected, places) if expected else {}
        requests.append(Sample(inputs, wanted))
    return requests


def _join(tensors: Sequence[TensorSpec], rows: Sequence[Tensors], places: list[int]) -> Tensors:
    joined: Tensors = {}
    for tensor in tensors:
        arrays = [rows[place][tensor.name] for place in places if tensor.name in rows[place]]
        if not arrays:
            continue
        first, last = places[0], places[-1]
        if len(arrays) != len(places):
            raise SetupError(
                f"{tensor.name!r} is in some of the samples {first} to {last}, expected in all or none"
            )
        if len({array.shape for array in arrays}) > 1:
            shapes = ", ".join(str(list(array.shape)) for array in arrays)
            raise SetupError(
                f"{tensor.name!r} has different shapes in the samples {first} to {last}: {shapes}; "
                "a request needs equal ones",
                hint="-b 1, or samples of equal shapes beside each other",
            )
        joined[tensor.name] = np.stack(arrays) if tensor.batched else arrays[0]
    return joined
