"""The python backend: instances of a ``Model`` class as the callables that the data plane calls once per
batch.
"""

import logging
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import infermesh_native
import numpy as np
from infermesh.logs import ecs
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from numpy.typing import NDArray

from infermesh_servers.model import python_model
from infermesh_servers.model.backends import instance_count
from infermesh_servers.model.datatypes import wire_name
from infermesh_servers.model.fatal import is_fatal
from infermesh_servers.model.python_model import ModelContext, Source
from infermesh_servers.model.tensors import numpy_type, to_array, to_bytes

if TYPE_CHECKING:
    from infermesh_native import Tensor

_log = logging.getLogger(__name__)


class BatchError(Exception):
    """A batch failed inside a person's model; the message goes to the callers whose requests were in it."""


@dataclass(frozen=True)
class OutputSpec:
    """What one output must look like; ``dims`` excludes the batch dimension and -1 fits any size."""

    name: str
    datatype: str
    dims: tuple[int, ...]


class Instance:
    """One instance of a model, called from one thread at a time.

    The model's ``close`` runs when the last reference to this object goes: that is after its last batch,
    whoever held it longest. At the latest it runs when the interpreter ends.
    """

    def __init__(self, source: Source, context: ModelContext, config: ModelConfig) -> None:
        self._source = source
        self._model = python_model.create(source.model, context)
        self._name = config.name
        self._outputs = tuple(
            OutputSpec(output.name, wire_name(output.data_type), tuple(output.dims))
            for output in config.output
        )
        self._batched = config.max_batch_size > 0
        close = getattr(self._model, "close", None)
        if callable(close):
            weakref.finalize(self, _close, close, config.name)

    def __call__(self, inputs: "list[Tensor]") -> "list[Tensor]":
        """Run one batch; returns every declared output, in the order of the configuration.

        Raises BatchError, which names the model and says what was found and what was expected, and
        ``infermesh_native.FatalError`` where the model says that it cannot be used any more.
        """
        batch = {name: to_array(datatype, shape, data) for name, datatype, shape, data in inputs}
        try:
            # Whatever a person wrote: its type is a promise that nobody has checked.
            answer: Any = self._model.infer(batch)
        except Exception as error:
            _log.exception("model '%s' failed a batch", self._name, extra=ecs("inference-failed"))
            kind = infermesh_native.FatalError if is_fatal(error) else BatchError
            raise kind(f"model '{self._name}': {type(error).__name__}: {error}") from error
        if not isinstance(answer, Mapping):
            found = type(answer).__name__
            raise self._failure(f"infer returned {found}, expected a dict of arrays by output name")
        size = inputs[0][2][0] if self._batched and inputs else None
        return [self._output(spec, answer, size) for spec in self._outputs]

    def _output(self, spec: OutputSpec, answer: Mapping[str, Any], size: int | None) -> "Tensor":
        if spec.name not in answer:
            found = ", ".join(f"'{name}'" for name in answer) or "none"
            raise self._failure(f"output '{spec.name}' is missing, found {found}")
        array = answer[spec.name]
        if not isinstance(array, np.ndarray):
            found = type(array).__name__
            raise self._failure(f"output '{spec.name}' is of type {found}, expected a numpy array")
        self._check_type(spec, array)
        self._check_shape(spec, array, size)
        try:
            return spec.name, spec.datatype, array.shape, to_bytes(array)
        except TypeError as error:
            raise self._failure(f"output '{spec.name}': {error}") from error

    def _check_type(self, spec: OutputSpec, array: NDArray[Any]) -> None:
        if spec.datatype == "BYTES":
            fits = array.dtype.kind in "OSU"
        else:
            fits = array.dtype == numpy_type(spec.datatype)
        if not fits:
            expected = f"{numpy_type(spec.datatype).name} for {spec.datatype}"
            raise self._failure(f"output '{spec.name}' has type {array.dtype.name}, expected {expected}")

    def _check_shape(self, spec: OutputSpec, array: NDArray[Any], size: int | None) -> None:
        expected = spec.dims if size is None else (size, *spec.dims)
        fits = len(array.shape) == len(expected) and all(
            wanted in (-1, found) for wanted, found in zip(expected, array.shape, strict=True)
        )
        if not fits:
            batch = "" if size is None else f" for a batch of {size}"
            raise self._failure(
                f"output '{spec.name}' has shape {list(array.shape)}, expected {list(expected)}{batch}"
            )

    def _failure(self, text: str) -> BatchError:
        return BatchError(f"model '{self._name}': {text}")


def load_instances(file: Path, version: int, config: ModelConfig) -> tuple[ModelConfig, list[Instance]]:
    """Import a model file and create as many instances as the configuration's instance groups ask for.

    Returns the configuration as completed by the class, and the instances. Raises what the model raises, and
    ConfigurationError, TypeError or ValueError for declarations that do not fit.
    """
    source = python_model.import_model(file, config.name)
    config = python_model.complete(config, source.model)
    # A type that this installation lacks is found now, not in the first batch.
    for data_type in (*(x.data_type for x in config.input), *(y.data_type for y in config.output)):
        numpy_type(wire_name(data_type))
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    contexts = [
        ModelContext(config.name, version, file.parent, parameters, index)
        for index in range(instance_count(config))
    ]
    return config, [Instance(source, context, config) for context in contexts]


def _close(close: Any, name: str) -> None:
    try:
        close()
    except Exception:
        _log.exception("model '%s' failed to close", name, extra=ecs("model-close-failed"))
