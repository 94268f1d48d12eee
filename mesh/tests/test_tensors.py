"""Every wire type goes to numpy and back unchanged, without a copy where there need be none."""

import sys
from typing import Any

import numpy as np
import pytest
from infermesh.errors import ConfigurationError
from infermesh.tensors import numpy_type, to_array, to_bytes
from numpy.typing import NDArray

EXAMPLES: dict[str, list[Any]] = {
    "BOOL": [True, False],
    "UINT8": [0, 255],
    "UINT16": [0, 65535],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "INT8": [-128, 127],
    "INT16": [-32768, 32767],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FP16": [-1.5, 65504.0],
    "FP32": [-1.5, 3.25],
    "FP64": [-1.5, 1e300],
    "BF16": [-1.5, 3.0],
    "BYTES": [b"", b"a\x00b\x00"],
}


def array_of(datatype: str) -> NDArray[Any]:
    return np.array([EXAMPLES[datatype]] * 3, dtype=numpy_type(datatype))


@pytest.mark.parametrize("datatype", EXAMPLES)
def test_a_tensor_survives_the_round_trip(datatype: str) -> None:
    array = array_of(datatype)
    back = to_array(datatype, array.shape, to_bytes(array))
    assert back.dtype == array.dtype
    assert back.shape == (3, 2)
    assert back.tolist() == array.tolist()
    assert not back.flags.writeable


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (), (1, 1, 1)])
@pytest.mark.parametrize("datatype", ["FP32", "BOOL", "BF16", "BYTES"])
def test_every_shape_survives_the_round_trip(datatype: str, shape: tuple[int, ...]) -> None:
    fill = b"x" if datatype == "BYTES" else 1
    array = np.full(shape, fill, dtype=numpy_type(datatype))
    back = to_array(datatype, shape, to_bytes(array))
    assert back.shape == shape
    assert back.tolist() == array.tolist()


def test_reading_and_writing_share_the_memory() -> None:
    data = bytearray(np.arange(4, dtype=np.float32).tobytes())
    array = to_array("FP32", (2, 2), memoryview(data))
    data[0:4] = np.float32(9).tobytes()
    assert array[0, 0] == 9
    source = np.zeros((2, 2), np.float32)
    written = to_bytes(source)
    source[1, 1] = 1
    assert written[12:] == np.float32(1).tobytes()


def test_what_is_not_contiguous_or_little_endian_is_made_so() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    back = to_array("FP32", (3, 2), to_bytes(array))
    assert back.tolist() == array.tolist()


def test_text_is_sent_as_utf_8() -> None:
    expected = b"\x03\x00\x00\x00\xe2\x82\xac"
    assert bytes(to_bytes(np.array(["€"], dtype=object))) == expected
    assert bytes(to_bytes(np.array(["€"]))) == expected
    assert bytes(to_bytes(np.array([b"ab"]))) == b"\x02\x00\x00\x00ab"


def test_an_object_that_is_no_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match="found an element of type int, expected bytes or str"):
        to_bytes(np.array([1], dtype=object))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x01\x00", "found 0 BYTES elements, expected 1"),
        (b"\x05\x00\x00\x00ab", "element 0 is cut off"),
        (b"\x01\x00\x00\x00ab", "found 1 bytes after 1 BYTES elements"),
    ],
)
def test_broken_bytes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_array("BYTES", (1,), memoryview(data))


def test_a_length_that_does_not_fit_the_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        to_array("FP32", (3,), memoryview(b"\x00" * 8))


def test_bf16_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ConfigurationError, match="ml_dtypes"):
        numpy_type("BF16")
