"""Parquet: a column for each tensor, a row for each sample.

A cell is a single value, or a list, flat in row-major order or nested. Numbers are converted as far as no
integer is changed by it; a null leaves an optional input out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.sources import elements
from infermesh_perf.inputs.sources.wanted import Wanted
from infermesh_perf.target.tensors import DTYPES, Array


def read(wanted: Wanted) -> list[Tensors]:
    """Its samples; raises SetupError."""
    try:
        with pq.ParquetFile(wanted.path) as file:
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise SetupError(f"{wanted.path}: cannot be read as Parquet: {error}") from error
    wanted.check_names(table.column_names)
    if not table.num_rows:
        raise SetupError(f"{wanted.path}: found no rows, expected one at least")
    columns = {name: table.column(name) for name in table.column_names}
    return [_row(wanted, columns, index) for index in range(table.num_rows)]


def _row(wanted: Wanted, columns: dict[str, Any], index: int) -> Tensors:
    row: Tensors = {}
    for name, column in columns.items():
        cell = column[index]
        if not cell.is_valid:
            continue
        try:
            row[name] = _tensor(wanted, name, cell)
        except (ValueError, TypeError) as error:
            raise wanted.error(name, error, str(index)) from error
    return wanted.checked(row, str(index))


def _tensor(wanted: Wanted, name: str, cell: Any) -> Array:
    values = getattr(cell, "values", None)
    if isinstance(values, pa.Array) and not values.null_count:
        direct = _direct(values, wanted.tensor(name).datatype)
        if direct is not None:
            return elements.shaped(wanted, name, direct)
    return elements.tensor(wanted, name, cell.as_py())


def _direct(values: pa.Array, datatype: str) -> Array | None:
    """A list of numbers without a Python object for each, where the type is the tensor's or a wider float."""
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)) or datatype == "BF16":
        return None
    found: Array = values.to_numpy(zero_copy_only=False)
    expected: np.dtype[Any] = DTYPES[datatype]
    if found.dtype == expected or (found.dtype.kind == expected.kind == "f"):
        return found.astype(expected)
    return None
