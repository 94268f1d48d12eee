import numpy as np
import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.batches import batch_size, script
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.target.model import TensorSpec
from support.load_models import model

ONE = TensorSpec("x", "INT32", (1,))


def rows(*values: int, name: str = "x") -> list[Tensors]:
    return [{name: np.array([value], np.int32)} for value in values]


def test_the_last_request_is_filled_up_with_the_first_rows() -> None:
    made = script(model(ONE), rows(1, 2, 3, 4, 5), [], 2)

    assert [sample.inputs["x"].tolist() for sample in made] == [[[1], [2]], [[3], [4]], [[5], [1]]]


def test_few_rows_are_repeated() -> None:
    (sample,) = script(model(ONE), rows(1, 2), [], 5)

    assert sample.inputs["x"].ravel().tolist() == [1, 2, 1, 2, 1]


def test_expected_rows_go_with_theirs() -> None:
    output = TensorSpec("y", "INT32", (1,))
    made = script(model(ONE, outputs=(output,)), rows(1, 2, 3), rows(10, 20, 30, name="y"), 2)

    assert [sample.expected["y"].ravel().tolist() for sample in made] == [[10, 20], [30, 10]]


def test_a_model_without_batches_gets_rows_as_they_are() -> None:
    made = script(model(ONE, batch=0), rows(1, 2), rows(3, 4, name="y"), 1)

    assert [sample.inputs["x"].tolist() for sample in made] == [[1], [2]]
    assert [sample.expected["y"].tolist() for sample in made] == [[3], [4]]


def test_a_shape_is_sent_once() -> None:
    shaped = model(ONE, TensorSpec("s", "INT32", (2,), batched=False))
    both = [{**row, "s": np.array([7, 8], np.int32)} for row in rows(1, 2)]

    (sample,) = script(shaped, both, [], 2)

    assert sample.inputs["s"].tolist() == [7, 8]


def test_optional_inputs_are_left_out_together() -> None:
    optional = model(ONE, TensorSpec("o", "INT32", (1,), optional=True))
    (sample,) = script(optional, rows(1, 2), [], 2)
    assert list(sample.inputs) == ["x"]
    with pytest.raises(SetupError, match="'o' is in some of the samples 0 to 1"):
        script(optional, [{**rows(1)[0], **rows(2, name="o")[0]}, *rows(3)], [], 2)


def test_rows_of_one_request_have_one_shape() -> None:
    ragged = model(TensorSpec("x", "INT32", (-1,)))
    different = [{"x": np.zeros(2, np.int32)}, {"x": np.zeros(3, np.int32)}]
    with pytest.raises(SetupError, match=r"different shapes in the samples 0 to 1: \[2\], \[3\]"):
        script(ragged, different, [], 2)
    assert [sample.inputs["x"].shape for sample in script(ragged, different, [], 1)] == [(1, 2), (1, 3)]


def test_batch_sizes() -> None:
    assert batch_size(model(batch=0), None) == batch_size(model(), 1) == batch_size(model(batch=0), 1) == 1
    assert batch_size(model(), 8) == 8
    for asked, of_model, said in (
        (0, model(), "expected at least 1"),
        (9, model(), "takes at most 8"),
        (2, model(batch=0), "does not batch"),
        (2, model(sequence=True), "has sequences"),
    ):
        with pytest.raises(SetupError, match=said):
            batch_size(of_model, asked)
