"""What is looked for in a file, and the errors of a file that does not have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Tensors
from infermesh_perf.inputs.shapes import fits
from infermesh_perf.target.model import TensorSpec
from infermesh_perf.target.tensors import Array


@dataclass(frozen=True)
class Wanted:
    """The inputs, or the outputs, of a model in one file.

    `tensors` are as the model has them; `filled` are the same with the sizes of `--shape`, for data that lies
    there without a shape of its own.
    """

    path: Path
    kind: Literal["input", "output"]
    tensors: tuple[TensorSpec, ...]
    filled: tuple[TensorSpec, ...]

    def check_names(self, names: Iterable[str]) -> None:
        """Raises SetupError for a name that the model lacks, and an input that must be there and is not."""
        found = set(names)
        known = [tensor.name for tensor in self.tensors]
        if unknown := sorted(found - set(known)):
            raise SetupError(
                f"{self.path}: found {unknown[0]!r}, which is no {self.kind} of the model, "
                f"expected {', '.join(known)}"
            )
        required = [tensor.name for tensor in self.tensors if self.kind == "input" and not tensor.optional]
        if missing := [name for name in required if name not in found]:
            raise SetupError(f"{self.path}: input {missing[0]!r} is missing, expected {', '.join(required)}")
        if not found:
            raise SetupError(f"{self.path}: found no {self.kind}s, expected {', '.join(known)}")

    def only(self) -> TensorSpec:
        """The tensor of a file that holds one without its name.

        Raises SetupError if the model needs several, or has several outputs.
        """
        required = [tensor for tensor in self.tensors if not tensor.optional] or list(self.tensors)
        if len(required) != 1:
            names = ", ".join(tensor.name for tensor in required)
            raise SetupError(
                f"{self.path}: holds one array, but the model has the {self.kind}s {names}",
                hint="an .npz or .safetensors file holds arrays by name",
            )
        return required[0]

    def tensor(self, name: str) -> TensorSpec:
        """As the model has it; the name must have been checked."""
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def filled_tensor(self, name: str) -> TensorSpec:
        """With the sizes of `--shape`."""
        return next(tensor for tensor in self.filled if tensor.name == name)

    def error(self, name: str, why: object, sample: str = "") -> SetupError:
        """The error of one tensor, by its name and, where there are several, its sample."""
        place = f" of sample {sample}" if sample else ""
        return SetupError(f"{self.path}: {self.kind} {name!r}{place}: {why}")

    def checked(self, row: Tensors, sample: str) -> Tensors:
        """A row whose names and shapes fit the model; raises SetupError otherwise."""
        self.check_names(row)
        for name, array in row.items():
            expected = self.tensor(name).shape
            if not fits(array.shape, expected):
                raise self.error(name, wrong_shape(array, expected), sample)
        return row


def wrong_shape(array: Array, expected: tuple[int, ...]) -> str:
    """What to say about a shape."""
    any_size = ", -1 being any size" if -1 in expected else ""
    return f"found the shape {list(array.shape)}, expected {list(expected)}{any_size}"
