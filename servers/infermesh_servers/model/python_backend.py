"""The python backend: instances of a ``Model`` class as the callables that the data plane calls once per
batch.
"""

import logging
import weakref
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import infermesh_native
from infermesh.logs import Traces, ecs, in_traces
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh.tensors import numpy_type, to_array

from infermesh_servers.model import python_model
from infermesh_servers.model.backends import instance_count
from infermesh_servers.model.datatypes import wire_name
from infermesh_servers.model.fatal import is_fatal
from infermesh_servers.model.python_model import ModelContext, Source
from infermesh_servers.model.python_outputs import ANY_ROWS, BatchError, Outputs
from infermesh_servers.model.ragged import without_rows

if TYPE_CHECKING:
    from infermesh_native import Tensor

_log = logging.getLogger(__name__)


class Instance:
    """One instance of a model, called from one thread at a time.

    The model's ``close`` runs when the last reference to this object goes: that is after its last batch,
    whoever held it longest. At the latest it runs when the interpreter ends.
    """

    def __init__(self, source: Source, context: ModelContext, config: ModelConfig) -> None:
        self._source = source
        self._model = python_model.create(source.model, context)
        self._name = config.name
        self._outputs = Outputs(config)
        self._batched = config.max_batch_size > 0
        self._without_rows = without_rows(config)
        self._failed = ecs("inference-failed", infermesh__model__name=config.name)
        close = getattr(self._model, "close", None)
        if callable(close):
            weakref.finalize(self, _close, close, config.name)

    def __call__(self, inputs: "list[Tensor]", traces: Traces = ()) -> "list[Tensor]":
        """Run one batch; returns every declared output, in the order of the configuration.

        ``traces`` are those of its requests, for what is logged meanwhile. Raises BatchError, which names
        the model and says what was found and what was expected, and ``infermesh_native.FatalError`` where
        the model says that it cannot be used any more.
        """
        if not traces:
            return self._run(inputs)
        with in_traces(traces):
            return self._run(inputs)

    def _run(self, inputs: "list[Tensor]") -> "list[Tensor]":
        try:
            # Whatever a person wrote: its type is a promise that nobody has checked.
            answer: Any = self._model.infer(_arrays(inputs))
        except Exception as error:
            raise self._raised(error) from error
        return self._tensors(answer, self._size(inputs))

    def stream(self, inputs: "list[Tensor]", traces: Traces = ()) -> "Iterator[list[Tensor]]":
        """Run one request of a decoupled model; yields its answers, each as a call returns its one.

        Closing the iterator closes the model's own, which is how it learns that nobody listens any more.
        Raises as a call does.
        """
        answers = self._stream(inputs)
        return _step_by_step(answers, traces) if traces else answers

    def _stream(self, inputs: "list[Tensor]") -> "Generator[list[Tensor], None, None]":
        size = self._size(inputs)
        try:
            answers: Any = self._model.infer(_arrays(inputs))
            if not isinstance(answers, Iterator):
                found = type(answers).__name__
                raise self._outputs.failure(
                    f"infer returned {found}, expected an iterator: a decoupled model yields its answers"
                )
        except BatchError as error:
            _log.error("%s", error, extra=self._failed)
            raise
        except Exception as error:
            raise self._raised(error) from error
        try:
            while True:
                try:
                    answer = next(answers)
                except StopIteration:
                    return
                except Exception as error:
                    raise self._raised(error) from error
                yield self._tensors(answer, size, "infer yielded")
        finally:
            # An iterator that is no generator need not have it.
            close = getattr(answers, "close", None)
            if callable(close):
                _close(close, self._name)

    def _tensors(self, answer: Any, size: int | None, source: str = "infer returned") -> "list[Tensor]":
        try:
            return self._outputs.tensors(answer, size, source)
        except BatchError as error:
            _log.error("%s", error, extra=self._failed)
            raise

    def _size(self, inputs: "list[Tensor]") -> int | None:
        if not self._batched:
            return None
        rows = (shape[0] for name, _, shape, _ in inputs if name not in self._without_rows)
        return next(rows, ANY_ROWS)

    def _raised(self, error: Exception) -> Exception:
        _log.exception("model '%s' failed a batch", self._name, extra=self._failed)
        kind = infermesh_native.FatalError if is_fatal(error) else BatchError
        return kind(f"model '{self._name}': {type(error).__name__}: {error}")


def _step_by_step(answers: "Generator[list[Tensor], None, None]", traces: Traces) -> "Iterator[list[Tensor]]":
    # Each step is a call of its own, and may run in another context than the one before.
    try:
        while True:
            with in_traces(traces):
                answer = next(answers, None)
            if answer is None:
                return
            yield answer
    finally:
        answers.close()


def _arrays(inputs: "list[Tensor]") -> dict[str, Any]:
    return {name: to_array(datatype, shape, data) for name, datatype, shape, data in inputs}


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
