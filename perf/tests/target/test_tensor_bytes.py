import numpy as np
import pytest
from infermesh_perf.target.tensors import DTYPES, count_in_raw, from_raw, objects, to_bfloat16, to_raw
from infermesh_perf.target.values import from_values
from ml_dtypes import bfloat16


@pytest.mark.parametrize("datatype", DTYPES)
def test_bytes_are_read_as_they_were_written(datatype: str) -> None:
    array = (
        objects([b"", b"plain", b"\xff\0", b"x" * 300]).reshape(2, 2)
        if datatype == "BYTES"
        else np.arange(4).astype(DTYPES[datatype]).reshape(2, 2)
    )
    raw = to_raw(array)

    found = from_raw(datatype, (2, 2), raw)

    assert found.dtype == array.dtype
    assert found.tolist() == array.tolist()
    assert count_in_raw(datatype, raw) == 4


def test_bytes_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match="found 3 bytes, expected 8"):
        from_raw("FP32", (2,), b"abc")
    with pytest.raises(ValueError, match="multiple of 4"):
        count_in_raw("FP32", b"abc")
    for cut in (b"\1\0", b"\5\0\0\0ab"):
        with pytest.raises(ValueError, match="text 0 is cut off"):
            count_in_raw("BYTES", cut)
    with pytest.raises(ValueError, match="found 1 texts, expected 2"):
        from_raw("BYTES", (2,), b"\0\0\0\0")


def test_bfloat16_is_rounded_as_others_round_it() -> None:
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 1 << 32, 100_000, np.uint32)
    edges = np.array([0.0, -0.0, np.inf, -np.inf, 1.0, 3.3e38, 1.00390625, 1.01171875], np.float32)
    values = np.concatenate([bits.view(np.float32), edges])
    numbers = values[~np.isnan(values)]

    assert np.array_equal(to_bfloat16(numbers), numbers.astype(bfloat16).view(np.uint16))
    nans = to_bfloat16(np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32))
    assert np.isnan(nans.view(bfloat16).astype(np.float32)).all()


@pytest.mark.parametrize(
    ("values", "datatype", "expected"),
    [
        ([[1, 2], [3, 4]], "INT32", np.array([[1, 2], [3, 4]], np.int32)),
        ([2**64 - 1, 0], "UINT64", np.array([2**64 - 1, 0], np.uint64)),
        ([1, 0.5], "FP16", np.array([1, 0.5], np.float16)),
        ([1.0, float("inf")], "FP32", np.array([1, np.inf], np.float32)),
        ([1.0], "BF16", np.array([0x3F80], np.uint16)),
        ([True, 0], "BOOL", np.array([True, False])),
        (["\u00e9", b"\xff"], "BYTES", objects([b"\xc3\xa9", b"\xff"])),
        ([], "FP32", np.zeros(0, np.float32)),
    ],
)
def test_values_become_tensors(values: list[object], datatype: str, expected: np.ndarray) -> None:
    found = from_values(values, datatype)

    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("values", "datatype", "said"),
    [
        ([1.0], "INT32", "found 1.0, expected whole numbers"),
        ([True], "INT32", "found True, expected whole numbers"),
        (["1"], "FP32", "found '1', expected numbers"),
        ([None], "FP32", "found None, expected numbers"),
        ([1], "BYTES", "found 1, expected text"),
        ([2], "BOOL", "found 2, expected true or false"),
        ([0, 128], "INT8", "found 128, expected INT8, -128 to 127"),
        ([-1], "UINT64", "found -1, expected UINT64"),
        ([[1, 2], [3]], "INT32", "different lengths"),
        ([1, [2]], "INT32", "different depths"),
        ([[1], 2], "INT32", "different lengths"),
        ([[[1]], [[[2]]]], "INT32", "different depths"),
    ],
)
def test_values_that_are_no_tensor_are_errors(values: list[object], datatype: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_values(values, datatype)
