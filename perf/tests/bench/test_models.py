from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from infermesh_perf.models import MODELS, Model


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_builds_and_answers_any_batch(model: Model, tmp_path: Path) -> None:
    path = model.save(tmp_path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = model.sample(2)

    both = session.run([model.output_name], {model.input_name: values})[0]
    first = session.run([model.output_name], {model.input_name: values[:1]})[0]

    assert both.shape == (2, *model.output_shape)
    assert np.allclose(both.sum(axis=1), 1, atol=1e-4)
    assert np.allclose(both[0], first[0], atol=1e-4)
    # An answer that hardly depends on its input would pass a check that it should fail.
    assert np.abs(both[0] - both[1]).max() > 1e-3


def test_is_the_same_file_every_time(tmp_path: Path) -> None:
    model = MODELS["perceptron"]

    first, second = model.save(tmp_path / "a"), model.save(tmp_path / "b")

    assert first.read_bytes() == second.read_bytes()


def test_alone_batches_include_what_the_loads_send() -> None:
    for model in MODELS.values():
        assert {load.rows for load in model.loads} <= set(model.alone_rows)
