"""Sizes of what the model leaves open: `--shape`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod

from infermesh_perf.errors import SetupError
from infermesh_perf.target.model import ModelSpec, TensorSpec

Shape = tuple[int, ...]


def parse(texts: Iterable[str]) -> dict[str, Shape]:
    """Shapes by input of texts such as `image:3,224,224`; a name may hold colons.

    Raises SetupError for a text that is none, and for an input that is named twice.
    """
    found: dict[str, Shape] = {}
    for text in texts:
        name, _, sizes = text.rpartition(":")
        numbers = sizes.split(",")
        if not name or not all(number.isascii() and number.isdigit() for number in numbers):
            raise SetupError(
                f"--shape: found {text!r}, expected an input and its sizes, such as image:3,224,224"
            )
        if name in found:
            raise SetupError(f"--shape: input {name!r} is given twice, expected once")
        found[name] = tuple(map(int, numbers))
    return found


def apply(model: ModelSpec, shapes: Mapping[str, Shape]) -> ModelSpec:
    """The model with these sizes in place of its dynamic dimensions.

    Raises SetupError for an input that the model lacks, and a shape that does not fit it.
    """
    for name in shapes:
        if model.input(name) is None:
            known = ", ".join(tensor.name for tensor in model.inputs)
            raise SetupError(f"--shape: model {model.name!r} has no input {name!r}: it has {known}")
    return replace(
        model,
        inputs=tuple(
            _filled(model, tensor, shapes[tensor.name]) if tensor.name in shapes else tensor
            for tensor in model.inputs
        ),
    )


def _filled(model: ModelSpec, tensor: TensorSpec, shape: Shape) -> TensorSpec:
    if not fits(shape, tensor.shape):
        without = " without the batch" if model.max_batch_size else ""
        raise SetupError(
            f"--shape: found {list(shape)} for input {tensor.name!r} of model {model.name!r}, "
            f"expected {list(tensor.shape)}{without}, -1 being any size"
        )
    return replace(tensor, shape=shape)


def fits(shape: Shape, expected: Shape) -> bool:
    """Whether a shape is one of those that `expected` stands for."""
    return len(shape) == len(expected) and all(
        size == wanted or wanted == -1 for size, wanted in zip(shape, expected, strict=True)
    )


def check_complete(model: ModelSpec, tensor: TensorSpec) -> None:
    """Raises SetupError, with the option to give, for an input with a dimension of any size."""
    if -1 in tensor.shape:
        without = " without the batch" if model.max_batch_size else ""
        raise SetupError(
            f"input {tensor.name!r} of model {model.name!r} has the shape {list(tensor.shape)}{without}, "
            "where -1 may be any size: expected a size for it",
            hint=flag(tensor),
        )


def flag(tensor: TensorSpec) -> str:
    """The option that gives an input sizes, with 1 for each that is open."""
    return f"--shape {tensor.name}:{','.join(str(1 if size == -1 else size) for size in tensor.shape)}"


def of_count(tensor: TensorSpec, count: int) -> Shape:
    """The shape in which so many elements, listed one after the other, lie.

    One open dimension follows from the count. Raises ValueError if there are more, or the count is wrong.
    """
    known = prod(size for size in tensor.shape if size != -1)
    open_dimensions = tensor.shape.count(-1)
    if open_dimensions > 1:
        raise ValueError(
            f"found no shape, expected one or {flag(tensor)}: {list(tensor.shape)} has several -1"
        )
    if open_dimensions == 0:
        if count != known:
            raise ValueError(f"found {count} elements, expected {known} for the shape {list(tensor.shape)}")
        return tensor.shape
    if known == 0 or count % known:
        raise ValueError(f"found {count} elements, expected a multiple of {known} for {list(tensor.shape)}")
    return tuple(count // known if size == -1 else size for size in tensor.shape)
