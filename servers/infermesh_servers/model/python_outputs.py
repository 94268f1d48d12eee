"""What a model's answer must look like, and its way to the data plane."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from infermesh.logs import ecs
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh.tensors import numpy_type, to_bytes
from numpy.typing import NDArray

from infermesh_servers.model.datatypes import wire_name
from infermesh_servers.model.ragged import divided_by_elements

if TYPE_CHECKING:
    from infermesh_native import Tensor

_log = logging.getLogger(__name__)


#: The size of a batch that none of its inputs shows; the data plane, which knows it, checks it.
ANY_ROWS = -1


class BatchError(Exception):
    """A batch failed inside a person's model; the message goes to the callers whose requests were in it."""


@dataclass(frozen=True)
class OutputSpec:
    """What one output must look like; ``dims`` excludes the batch dimension and -1 fits any size.

    Without ``dims`` any shape will do: the output is divided by its elements.
    """

    name: str
    datatype: str
    dims: tuple[int, ...] | None


class Outputs:
    """The outputs of one model, in the order of its configuration, and then the states that it carries on."""

    def __init__(self, config: ModelConfig) -> None:
        self._model = config.name
        declared = {output.name for output in config.output}
        states = [
            (state.output_name, state.data_type, state.dims)
            for state in config.sequence_batching.state
            if state.output_name not in declared
        ]
        # The model's own shape, where clients see another.
        outputs = [
            (
                output.name,
                output.data_type,
                output.reshape.shape if output.HasField("reshape") else output.dims,
            )
            for output in config.output
        ]
        free = divided_by_elements(config)
        self._specs = tuple(
            OutputSpec(name, wire_name(data_type), None if name in free else tuple(dims))
            for name, data_type, dims in outputs + states
        )

    def tensors(self, answer: object, size: int | None, what: str = "infer returned") -> "list[Tensor]":
        """Return every declared output of an answer to ``size`` items.

        None stands for a model without batches, ``ANY_ROWS`` for a size that is not known.

        Raises BatchError, which names the model and says what was found and what was expected.
        """
        if not isinstance(answer, Mapping):
            found = type(answer).__name__
            raise self.failure(f"{what} {found}, expected a dict of arrays by output name")
        return [self._output(spec, answer, size) for spec in self._specs]

    def _output(self, spec: OutputSpec, answer: Mapping[str, Any], size: int | None) -> "Tensor":
        if spec.name not in answer:
            found = ", ".join(f"'{name}'" for name in answer) or "none"
            raise self.failure(f"output '{spec.name}' is missing, found {found}")
        array = answer[spec.name]
        if not isinstance(array, np.ndarray):
            found = type(array).__name__
            raise self.failure(f"output '{spec.name}' is of type {found}, expected a numpy array")
        self._check_type(spec, array)
        self._check_shape(spec, array, size)
        try:
            return spec.name, spec.datatype, array.shape, to_bytes(array)
        except TypeError as error:
            raise self.failure(f"output '{spec.name}': {error}") from error

    def _check_type(self, spec: OutputSpec, array: NDArray[Any]) -> None:
        if spec.datatype == "BYTES":
            fits = array.dtype.kind in "OSU"
        else:
            fits = array.dtype == numpy_type(spec.datatype)
        if not fits:
            expected = f"{numpy_type(spec.datatype).name} for {spec.datatype}"
            raise self.failure(f"output '{spec.name}' has type {array.dtype.name}, expected {expected}")

    def _check_shape(self, spec: OutputSpec, array: NDArray[Any], size: int | None) -> None:
        if spec.dims is None:
            return
        expected = spec.dims if size is None else (size, *spec.dims)
        fits = len(array.shape) == len(expected) and all(
            wanted in (-1, found) for wanted, found in zip(expected, array.shape, strict=True)
        )
        if not fits:
            batch = "" if size in (None, ANY_ROWS) else f" for a batch of {size}"
            raise self.failure(
                f"output '{spec.name}' has shape {list(array.shape)}, expected {list(expected)}{batch}"
            )

    def failure(self, text: str) -> BatchError:
        """Report a broken promise and return it as the error that names the model."""
        error = BatchError(f"model '{self._model}': {text}")
        _log.error("%s", error, extra=ecs("inference-failed"))
        return error
