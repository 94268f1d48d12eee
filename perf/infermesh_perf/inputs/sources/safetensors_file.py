"""Arrays by name in the safetensors format, which has BF16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import safetensors

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.sources import arrays
from infermesh_perf.inputs.sources.wanted import Wanted
from infermesh_perf.target.tensors import DTYPES, Array

# Declared without types.
_deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize
_DATATYPES = {
    "BOOL": "BOOL",
    **{f"U{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"I{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    "F16": "FP16",
    "BF16": "BF16",
    "F32": "FP32",
    "F64": "FP64",
}


def read(wanted: Wanted) -> list[Tensors]:
    """Its samples; raises SetupError."""
    try:
        found = _deserialize(wanted.path.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise SetupError(f"{wanted.path}: cannot be read as safetensors: {error}") from error
    wanted.check_names(name for name, _ in found)
    return arrays.rows(wanted, {name: _array(wanted, name, content) for name, content in found})


def _array(wanted: Wanted, name: str, content: dict[str, Any]) -> Array:
    datatype = _DATATYPES.get(content["dtype"])
    expected = wanted.tensor(name).datatype
    # By the format's own types: numpy's do not tell BF16 from UINT16.
    if datatype != expected:
        raise wanted.error(name, f"found {content['dtype']}, expected {expected}")
    return np.frombuffer(content["data"], DTYPES[expected]).reshape(content["shape"])
