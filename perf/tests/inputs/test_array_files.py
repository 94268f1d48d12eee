"""numpy's files, safetensors and Parquet, written by the libraries that people write them with."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sources.read import read_inputs, read_outputs
from infermesh_perf.target.model import ModelSpec, TensorSpec
from infermesh_perf.target.tensors import DTYPES
from ml_dtypes import bfloat16
from support.load_models import model

PAIR = model(TensorSpec("a", "FP32", (2, -1)), TensorSpec("b", "INT64", ()))


def rows(path: Path, of_model: ModelSpec, shaped: ModelSpec | None = None) -> list[dict[str, Any]]:
    (found,) = read_inputs(path, of_model, shaped or of_model).scripts
    return [{name: array.tolist() for name, array in row.items()} for row in found]


def save(path: Path, **arrays: Any) -> Path:
    match path.suffix:
        case ".npy":
            (array,) = arrays.values()
            np.save(path, array)
        case ".npz":
            np.savez(path, **arrays)
        case ".safetensors":
            safetensors.numpy.save_file(arrays, path)
        case ".parquet":
            pq.write_table(pa.table(arrays), path)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_first_dimension_counts_samples(tmp_path: Path, suffix: str) -> None:
    a, b = np.arange(12, dtype=np.float32).reshape(2, 2, 3), np.array([7, 8])

    found = rows(save(tmp_path / f"data{suffix}", a=a, b=b), PAIR)

    assert found == [{"a": a[0].tolist(), "b": 7}, {"a": a[1].tolist(), "b": 8}]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_arrays_without_it_are_one_sample(tmp_path: Path, suffix: str) -> None:
    a, b = np.ones((2, 3), np.float32), np.array(7)

    assert rows(save(tmp_path / f"data{suffix}", a=a, b=b), PAIR) == [{"a": a.tolist(), "b": 7}]


def test_one_array_is_the_only_input(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npy", x=np.arange(8, dtype=np.float32).reshape(2, 4))

    assert rows(path, model()) == [{"x": [0, 1, 2, 3]}, {"x": [4, 5, 6, 7]}]
    optional = model(TensorSpec("o", "FP32", (4,), optional=True), TensorSpec("x", "FP32", (4,)))
    assert [list(row) for row in rows(path, optional)] == [["x"], ["x"]]
    with pytest.raises(SetupError, match="holds one array, but the model has the inputs a, b"):
        rows(path, PAIR)


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name not in ("BYTES", "BF16")])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_every_datatype(tmp_path: Path, datatype: str, suffix: str) -> None:
    array = np.array([[0, 1], [1, 0]], DTYPES[datatype])
    of_type = model(TensorSpec("x", datatype, (2,)))

    (found,) = read_inputs(save(tmp_path / f"d{suffix}", x=array), of_type, of_type).scripts

    assert [row["x"].dtype for row in found] == [DTYPES[datatype]] * 2
    assert [row["x"].tolist() for row in found] == array.tolist()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_bfloat16_as_libraries_write_it(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"d{suffix}", x=np.array([1, -2], bfloat16))

    assert rows(path, model(TensorSpec("x", "BF16", (2,)))) == [{"x": [0x3F80, 0xC000]}]


def test_big_endian_arrays_and_texts(tmp_path: Path) -> None:
    big = save(tmp_path / "big.npy", x=np.array([1, 2, 3, 4], ">f4"))
    (found,) = read_inputs(big, model(), model()).scripts
    assert found[0]["x"].tobytes() == np.array([1, 2, 3, 4], "<f4").tobytes()
    texts = model(TensorSpec("x", "BYTES", (2,)))
    for array in (np.array(["\u00e9", "longer"]), np.array(["\u00e9".encode(), b"longer"])):
        assert rows(save(tmp_path / "t.npy", x=array), texts) == [{"x": [b"\xc3\xa9", b"longer"]}]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": np.ones((2, 3), np.float32)}, "input 'b' is missing, expected a, b"),
        ({"z": np.ones(1)}, "found 'z', which is no input of the model, expected a, b"),
        ({"a": np.ones((2, 3)), "b": np.array(1)}, "input 'a': found float64, expected float32 for FP32"),
        (
            {"a": np.ones((3, 3), np.float32), "b": np.array(1)},
            r"input 'a' of sample 0: found the shape \[3, 3\], expected \[2, -1\], -1 being any size",
        ),
        ({"a": np.ones((1, 2, 2, 3), np.float32), "b": np.array(1)}, "or one dimension more for samples"),
        ({"a": np.ones((4, 2, 3), np.float32), "b": np.array([1, 2])}, "found 4 of a, 2 of b"),
        ({"a": np.ones((0, 2, 3), np.float32), "b": np.ones(0, np.int64)}, "found no samples"),
    ],
)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_arrays_that_do_not_fit(tmp_path: Path, suffix: str, arrays: dict[str, Any], said: str) -> None:
    path = save(tmp_path / f"data{suffix}", **arrays)
    if suffix == ".safetensors":
        said = said.replace("found float64, expected float32 for FP32", "found F64, expected FP32")
    with pytest.raises(SetupError, match=said) as caught:
        rows(path, PAIR)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet", ".json"])
def test_files_that_are_something_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    for content in (b"", b"nonsense", b"PK\3\4nonsense", b"\x93NUMPY\1\0nonsense"):
        path.write_bytes(content)
        with pytest.raises(SetupError, match="cannot be read as"):
            rows(path, model())


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(SetupError, match="cannot be read as what numpy saves"):
        rows(path, model())


def test_names_that_mislead(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones(4, np.float32))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(SetupError, match="holds arrays by name"):
        rows(tmp_path / "a.npy", model())
    np.save(tmp_path / "b.npy", np.ones(4, np.float32))
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    with pytest.raises(SetupError, match="holds one array"):
        rows(tmp_path / "b.npz", model())
    with pytest.raises(SetupError, match="does not exist"):
        rows(tmp_path / "absent.npy", model())
    (tmp_path / "data.csv").touch()
    with pytest.raises(SetupError, match=r"found the suffix '.csv', expected a directory or one of .npy,"):
        rows(tmp_path / "data.csv", model())


def test_parquet_has_a_row_for_each_sample(tmp_path: Path) -> None:
    mixed = model(
        TensorSpec("image", "FP32", (2, 2)),
        TensorSpec("ids", "INT64", (-1,)),
        TensorSpec("text", "BYTES", (1,)),
        TensorSpec("flag", "BOOL", ()),
        TensorSpec("half", "FP16", (2,), optional=True),
    )
    path = save(
        tmp_path / "data.parquet",
        # A narrower and a wider type than the model's: no integer changes by it.
        image=pa.array([[1.5, 2, 3, 4], [5, 6, 7, 8]], pa.list_(pa.float64(), 4)),
        ids=pa.array([[1], [2, 3]], pa.list_(pa.int32())),
        text=["a", "\u00e9"],
        flag=[True, False],
        half=[[0.5, 1.0], None],
    )

    assert rows(path, mixed) == [
        {"image": [[1.5, 2], [3, 4]], "ids": [1], "text": [b"a"], "flag": True, "half": [0.5, 1]},
        {"image": [[5, 6], [7, 8]], "ids": [2, 3], "text": ["\u00e9".encode()], "flag": False},
    ]


def test_parquet_with_nested_lists(tmp_path: Path) -> None:
    path = save(tmp_path / "data.parquet", x=[[[1.0, 2.0], [3.0, 4.0]]])

    assert rows(path, model(TensorSpec("x", "FP32", (2, -1)))) == [{"x": [[1, 2], [3, 4]]}]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"x": pa.array([[1, 2, 3]])}, r"of sample 0: found the shape \[3\], expected \[4\]"),
        ({"x": pa.array([[1, 2, None, 4]])}, "found None, expected numbers"),
        ({"x": pa.array([["a", "b", "c", "d"]])}, "found 'a', expected numbers"),
        ({"x": pa.array([[1.0] * 4, None])}, "input 'x' is missing"),
        ({"z": [1]}, "found 'z'"),
        ({"x": pa.array([], pa.list_(pa.float32()))}, "found no rows"),
    ],
)
def test_parquet_that_does_not_fit(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    path = save(tmp_path / "data.parquet", **columns)
    with pytest.raises(SetupError, match=said):
        rows(path, model())


def test_integers_of_parquet_must_fit(tmp_path: Path) -> None:
    path = save(tmp_path / "data.parquet", x=pa.array([[1, 300]]))
    with pytest.raises(SetupError, match="found 300, expected UINT8, 0 to 255"):
        rows(path, model(TensorSpec("x", "UINT8", (2,))))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_outputs_are_read_by_the_same_rules(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"out{suffix}", y=np.ones((2, 5), np.float32))

    assert [[row["y"].tolist() for row in rows] for rows in read_outputs(path, model())] == [[[1] * 5] * 2]
    if suffix != ".npy":
        with pytest.raises(SetupError, match="found 'x', which is no output of the model, expected y"):
            read_outputs(save(tmp_path / f"in{suffix}", x=np.ones(5, np.float32)), model())
