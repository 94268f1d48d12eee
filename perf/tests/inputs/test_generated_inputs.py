import numpy as np
import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.generate import random, row_bytes, zero
from infermesh_perf.inputs.options import DataOptions
from infermesh_perf.target.model import TensorSpec
from infermesh_perf.target.tensors import DTYPES, to_raw
from ml_dtypes import bfloat16
from support.load_models import model

NUMBERS = [datatype for datatype in DTYPES if datatype != "BYTES"]


@pytest.mark.parametrize("datatype", DTYPES)
def test_follows_from_the_seed_alone(datatype: str) -> None:
    of_type = model(TensorSpec("x", datatype, (5, 7)))

    first, second = (random(of_type, DataOptions(seed=3), 2) for _ in range(2))
    other = random(of_type, DataOptions(seed=4), 1)

    assert [to_raw(row["x"]) for row in first] == [to_raw(row["x"]) for row in second]
    assert to_raw(first[0]["x"]) != to_raw(first[1]["x"])
    assert to_raw(first[0]["x"]) != to_raw(other[0]["x"])
    assert first[0]["x"].shape == (5, 7)
    assert first[0]["x"].dtype == DTYPES[datatype]


@pytest.mark.parametrize("datatype", NUMBERS)
def test_values_are_such_as_models_take(datatype: str) -> None:
    (row,) = random(model(TensorSpec("x", datatype, (20_000,))), DataOptions(), 1)
    values = (row["x"].view(bfloat16) if datatype == "BF16" else row["x"]).astype(np.float64)

    highest = 1 if datatype[0] in "FB" else 127
    if datatype == "BOOL":
        assert set(values) == {0, 1}
    elif highest == 127:
        assert (values.min(), values.max()) == (0, 127)
    else:
        assert 0 <= values.min() < 0.01
        assert 0.99 < values.max() < 1


def test_texts() -> None:
    texts = model(TensorSpec("t", "BYTES", (2, 3)))

    (row,) = random(texts, DataOptions(), 1)
    assert {len(text) for text in row["t"].reshape(-1)} == {128}
    assert all(text.isalnum() for text in row["t"].reshape(-1))
    (row,) = random(texts, DataOptions(string_length=5), 1)
    assert {len(text) for text in row["t"].reshape(-1)} == {5}
    (row,) = random(texts, DataOptions(string_data="h\u00e9"), 1)
    assert set(row["t"].reshape(-1)) == {b"h\xc3\xa9"}
    assert set(zero(texts, DataOptions(string_length=2))["t"].reshape(-1)) == {b"00"}
    assert set(zero(texts, DataOptions(string_data="a"))["t"].reshape(-1)) == {b"a"}


def test_zeros() -> None:
    row = zero(model(TensorSpec("x", "BF16", (2,)), TensorSpec("b", "BOOL", ())), DataOptions())

    assert row["x"].tolist() == [0, 0]
    assert row["b"].tolist() is False


@pytest.mark.parametrize(
    "options", [DataOptions(), DataOptions(string_data="h\u00e9"), DataOptions(string_length=0)]
)
def test_the_size_of_a_row_is_known_before(options: DataOptions) -> None:
    mixed = model(TensorSpec("x", "FP16", (3,)), TensorSpec("t", "BYTES", (2,)))
    (row,) = random(mixed, options, 1)

    assert row_bytes(mixed, options) == sum(len(to_raw(array)) for array in row.values())


def test_what_cannot_be_made_up() -> None:
    with pytest.raises(SetupError, match="has the shape"):
        random(model(TensorSpec("x", "FP32", (-1,))), DataOptions(), 1)
    with pytest.raises(SetupError, match="is a shape"):
        zero(model(TensorSpec("x", "INT32", (2,), batched=False)), DataOptions())
