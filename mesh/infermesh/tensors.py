"""Tensors between the data plane's little-endian bytes and numpy arrays, without a copy wherever there need
be none.

Every wire type has one numpy type. BYTES is an object array of ``bytes``. BF16 is ``ml_dtypes.bfloat16``,
numpy's own having none: a model that declares it needs that package, and is refused at load without it,
because the alternative, raw bits as uint16, computes nonsense without an error.
"""

import struct
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infermesh.errors import ConfigurationError

_NUMPY_NAMES = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "BYTES": "O",
}

_LENGTH = struct.Struct("<I")


def numpy_type(datatype: str) -> np.dtype[Any]:
    """Return the numpy type of a wire type such as FP32.

    Raises ConfigurationError for BF16 if ml_dtypes is not installed, KeyError for a name that is no wire
    type.
    """
    if datatype != "BF16":
        return np.dtype(_NUMPY_NAMES[datatype])
    try:
        from ml_dtypes import bfloat16
    except ImportError as error:
        raise ConfigurationError(
            "BF16 needs the package ml_dtypes, which gives numpy that type", hint="install ml_dtypes"
        ) from error
    found: np.dtype[Any] = np.dtype(bfloat16)
    return found


def to_array(datatype: str, shape: Sequence[int], data: memoryview) -> NDArray[Any]:
    """Return a read-only array of ``shape`` over ``data``; only BYTES is copied.

    Raises ValueError if the bytes are not exactly those of the shape.
    """
    if datatype == "BYTES":
        array = _decode_bytes(prod(shape), data).reshape(shape)
    else:
        array = np.frombuffer(data, dtype=numpy_type(datatype)).reshape(shape)
    array.flags.writeable = False
    return array


def to_bytes(array: NDArray[Any]) -> memoryview:
    """Return an array's elements as little-endian, row-major bytes; a contiguous array is not copied.

    A BYTES array holds ``bytes`` or ``str`` (sent as UTF-8) as objects, or is one of numpy's fixed-width
    strings, which lose their trailing zeros. Raises TypeError for any other object in it.
    """
    if array.dtype.kind in "OSU":
        return memoryview(b"".join(_encode_element(element) for element in array.reshape(-1)))
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    # As plain bytes, because the buffer protocol knows no bfloat16 and casts no shape with a zero in it.
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _encode_element(element: object) -> bytes:
    if isinstance(element, str):
        element = element.encode()
    if not isinstance(element, bytes):
        raise TypeError(f"found an element of type {type(element).__name__}, expected bytes or str")
    return _LENGTH.pack(len(element)) + element


def _decode_bytes(count: int, data: memoryview) -> NDArray[Any]:
    array = np.empty(count, dtype=object)
    offset = 0
    for index in range(count):
        if offset + _LENGTH.size > len(data):
            raise ValueError(f"found {index} BYTES elements, expected {count}")
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += _LENGTH.size
        if offset + length > len(data):
            raise ValueError(f"BYTES element {index} is cut off: expected {length} bytes after its length")
        array[index] = bytes(data[offset : offset + length])
        offset += length
    if offset != len(data):
        raise ValueError(f"found {len(data) - offset} bytes after {count} BYTES elements, expected none")
    return array
