import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.shapes import apply, check_complete, of_count, parse
from infermesh_perf.target.model import TensorSpec
from support.load_models import model


def test_reads_shapes() -> None:
    assert parse(["image:3,224,224", "a:b:7"]) == {"image": (3, 224, 224), "a:b": (7,)}


@pytest.mark.parametrize(
    "text", ["image", "image:", ":3", "image:3,", "image:-1", "image:3x4", "image:\u00b2"]
)
def test_a_text_that_is_no_shape(text: str) -> None:
    with pytest.raises(SetupError, match="expected an input and its sizes, such as image:3,224,224"):
        parse([text])


def test_an_input_that_is_given_twice() -> None:
    with pytest.raises(SetupError, match="'x' is given twice"):
        parse(["x:1", "x:2"])


def test_fills_dynamic_dimensions_alone() -> None:
    images = model(TensorSpec("image", "FP32", (3, -1, -1)), TensorSpec("label", "INT64", (1,)))

    filled = apply(images, {"image": (3, 8, 9)})

    assert [tensor.shape for tensor in filled.inputs] == [(3, 8, 9), (1,)]


@pytest.mark.parametrize("shape", [(1, 8, 9), (3, 8), (1, 3, 8, 9)])
def test_a_shape_that_does_not_fit(shape: tuple[int, ...]) -> None:
    images = model(TensorSpec("image", "FP32", (3, -1, -1)))
    with pytest.raises(SetupError, match=r"for input 'image' .* expected \[3, -1, -1\] without the batch"):
        apply(images, {"image": shape})


def test_an_input_that_the_model_lacks() -> None:
    with pytest.raises(SetupError, match="no input 'z': it has x"):
        apply(model(), {"z": (1,)})


def test_an_open_dimension_is_told_with_the_flag_to_give() -> None:
    images = model(TensorSpec("image", "FP32", (3, -1, -1)))
    with pytest.raises(SetupError, match="'image' of model 'm'") as caught:
        check_complete(images, images.inputs[0])
    assert caught.value.hint == "--shape image:3,1,1"
    check_complete(model(), model().inputs[0])


def test_one_open_dimension_follows_from_the_number_of_elements() -> None:
    assert of_count(TensorSpec("x", "FP32", (2, -1)), 6) == (2, 3)
    assert of_count(TensorSpec("x", "FP32", (2, 3)), 6) == (2, 3)
    assert of_count(TensorSpec("x", "FP32", ()), 1) == ()
    for shape, count, said in (
        ((2, -1), 7, "multiple of 2"),
        ((2, 3), 7, "expected 6"),
        ((-1, -1), 4, "--shape x:1,1"),
    ):
        with pytest.raises(ValueError, match=said):
            of_count(TensorSpec("x", "FP32", shape), count)
