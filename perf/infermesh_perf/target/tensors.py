"""How the v2 protocol lays tensors out in bytes: little-endian, row-major, texts with their lengths in front.

Each datatype has one type of numpy's. BYTES is an object array of `bytes`; BF16, which numpy lacks, is its
16 bits as uint16.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: By the protocol's names.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),
    "BYTES": np.dtype("O"),
}

_LENGTH = struct.Struct("<I")


def to_raw(array: Array) -> bytes:
    """The elements of an array of one of these types."""
    if array.dtype == np.object_:
        return b"".join(_LENGTH.pack(len(element)) + element for element in array.reshape(-1))
    return array.tobytes()


def from_raw(datatype: str, shape: Sequence[int], raw: bytes) -> Array:
    """The array of a shape whose elements are `raw`; raises ValueError if they are not just as many."""
    if datatype == "BYTES":
        return _texts(raw, prod(shape)).reshape(tuple(shape))
    dtype = DTYPES[datatype]
    expected = prod(shape) * dtype.itemsize
    if len(raw) != expected:
        raise ValueError(f"found {len(raw)} bytes, expected {expected} for {datatype} {list(shape)}")
    return np.frombuffer(raw, dtype).reshape(tuple(shape))


def count_in_raw(datatype: str, raw: bytes) -> int:
    """How many elements `raw` holds; raises ValueError if the last one is cut off."""
    if datatype == "BYTES":
        return len(_texts(raw))
    count, rest = divmod(len(raw), DTYPES[datatype].itemsize)
    if rest:
        raise ValueError(f"found {len(raw)} bytes, expected a multiple of {DTYPES[datatype].itemsize}")
    return count


def _texts(raw: bytes, count: int | None = None) -> Array:
    found: list[bytes] = []
    at = 0
    while at < len(raw):
        end = at + _LENGTH.size + (_LENGTH.unpack_from(raw, at)[0] if at + _LENGTH.size <= len(raw) else 0)
        if end > len(raw) or at + _LENGTH.size > len(raw):
            raise ValueError(f"text {len(found)} is cut off, expected 4 bytes of length and as many bytes")
        found.append(raw[at + _LENGTH.size : end])
        at = end
    if count is not None and len(found) != count:
        raise ValueError(f"found {len(found)} texts, expected {count}")
    return objects(found)


def objects(elements: Sequence[bytes]) -> Array:
    """A flat BYTES array."""
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    return array


def to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The upper halves of FP32, rounded to the nearest, ties to even; what is no number stays none."""
    bits = np.ascontiguousarray(values, "<f4").view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    # Rounding could carry the fraction of a NaN away, and leave infinity.
    quiet = ((bits >> 16) | 0x40).astype(np.uint16)
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)
