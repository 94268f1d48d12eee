from pathlib import Path

import numpy as np
import onnx
import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.models import MODELS, build_perceptron
from infermesh_perf.peers.onnx_file import read_model
from support import onnx_models


def _file(directory: Path, content: bytes) -> Path:
    path = directory / "mine.onnx"
    path.write_bytes(content)
    return path


def test_a_model_from_its_file(tmp_path: Path) -> None:
    path = _file(tmp_path, build_perceptron("any", (64, 32, 10)).SerializeToString())
    model = read_model(path, compute_bound=False)
    assert (model.name, model.input_name, model.input_shape) == ("mine", "x", (64,))
    assert (model.output_name, model.output_shape, model.compute_bound) == ("y", (10,), False)
    assert model.sample(3).shape == (3, 64)
    assert model.build() == onnx.load(str(path))
    assert read_model(path, compute_bound=True).compute_bound


def test_weights_among_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    model = build_perceptron("old", (8, 4))
    for weight in model.graph.initializer:
        model.graph.input.append(
            onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        )
    found = read_model(_file(tmp_path, model.SerializeToString()), compute_bound=False)
    assert found.input_name == "x"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no model at all", "cannot be read as an ONNX model"),
        (b"", "found the inputs none, expected one"),
        (onnx_models.add(), "found the inputs a, b, expected one"),
        (onnx_models.identity("INT64"), "input 'x' is INT64, expected FLOAT"),
        (onnx_models.identity("FP32", (2, 4)), r"shape \[2, 4\], expected \[-1, sizes\]"),
        (onnx_models.identity("FP32", ("n", "m")), r"shape \[-1, -1\], expected \[-1, sizes\]"),
    ],
)
def test_what_peers_cannot_serve(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        read_model(_file(tmp_path, content), compute_bound=False)


def test_weights_in_other_files(tmp_path: Path) -> None:
    model = build_perceptron("apart", (64, 64))
    onnx.save(model, str(tmp_path / "mine.onnx"), save_as_external_data=True, size_threshold=0)
    with pytest.raises(SetupError, match="keeps weights in other files"):
        read_model(tmp_path / "mine.onnx", compute_bound=False)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        read_model(tmp_path / "absent.onnx", compute_bound=False)


def test_the_benchmarks_own_models_fit(tmp_path: Path) -> None:
    own = MODELS["perceptron"]
    found = read_model(own.save(tmp_path), compute_bound=own.compute_bound)
    assert (found.name, found.input_shape, found.output_shape) == (
        own.name,
        own.input_shape,
        own.output_shape,
    )
    assert np.array_equal(found.sample(2), own.sample(2))
