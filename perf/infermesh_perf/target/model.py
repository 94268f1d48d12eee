"""A model as a client sees it, from what the server tells about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference.model_config_pb2 import ModelConfig

from infermesh_perf.errors import SetupError
from infermesh_perf.target.api import Api
from infermesh_perf.target.errors import RefusedError
from infermesh_perf.target.tensors import DTYPES


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of one row: `shape` is without the batch dimension, -1 where any size will do.

    `batched` is false where a request with several rows has this tensor only once (shape tensors).
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    batched: bool = True


@dataclass(frozen=True)
class ModelSpec:
    """A model. `version` is the one that was asked for, empty for the server's choice among `versions`.

    With `max_batch_size` 0 requests have no batch dimension.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    version: str = ""
    versions: tuple[str, ...] = ()
    max_batch_size: int = 0
    decoupled: bool = False
    sequence: bool = False
    platform: str = ""

    def input(self, name: str) -> TensorSpec | None:
        """The input of a name."""
        return next((tensor for tensor in self.inputs if tensor.name == name), None)

    def output(self, name: str) -> TensorSpec | None:
        """The output of a name."""
        return next((tensor for tensor in self.outputs if tensor.name == name), None)


def describe(api: Api, name: str, version: str = "", batch: int | None = None) -> ModelSpec:
    """Asks a server for a model.

    `batch` is the batch size if one was asked for: from servers that tell no configuration, only then -1 as
    the first dimension of every input is the batch. Raises SetupError, with the models that there are, if
    there is no such model, and if its metadata cannot be used.
    """
    try:
        metadata = api.metadata(name, version)
    except RefusedError as error:
        raise _unknown(api, name, error) from error
    config = api.config(name, version)
    if config is None:
        return _without_config(metadata, name, version, batch)
    return spec(metadata, config, version, sequence=_has_sequences(config, api.config))


def spec(
    metadata: pb.ModelMetadataResponse,
    config: ModelConfig,
    version: str = "",
    *,
    sequence: bool | None = None,
) -> ModelSpec:
    """A model from its metadata and its configuration. Raises SetupError for types that are unknown."""
    drop = 1 if config.max_batch_size > 0 else 0
    optional = {tensor.name for tensor in config.input if tensor.optional}
    whole = {tensor.name for tensor in config.input if tensor.is_shape_tensor}
    whole |= {tensor.name for tensor in config.output if tensor.is_shape_tensor}
    return ModelSpec(
        name=config.name or metadata.name,
        inputs=_tensors(metadata.inputs, drop, optional, whole),
        outputs=_tensors(metadata.outputs, drop, frozenset(), whole),
        version=version,
        versions=tuple(metadata.versions),
        max_batch_size=max(config.max_batch_size, 0),
        decoupled=config.model_transaction_policy.decoupled,
        sequence=config.HasField("sequence_batching") if sequence is None else sequence,
        platform=config.platform or config.backend or metadata.platform,
    )


def _without_config(
    metadata: pb.ModelMetadataResponse, name: str, version: str, batch: int | None
) -> ModelSpec:
    batches = batch is not None and all(tensor.shape and tensor.shape[0] == -1 for tensor in metadata.inputs)
    # How much the model takes is not told.
    limit = batch if batches and batch is not None else 0
    return spec(metadata, ModelConfig(name=name, max_batch_size=limit), version)


def _tensors(
    found: Iterable[pb.ModelMetadataResponse.TensorMetadata],
    drop: int,
    optional: Iterable[str],
    whole: set[str],
) -> tuple[TensorSpec, ...]:
    tensors = []
    for tensor in found:
        if tensor.datatype not in DTYPES:
            expected = ", ".join(DTYPES)
            raise SetupError(
                f"tensor {tensor.name!r} has the datatype {tensor.datatype!r}, expected one of {expected}"
            )
        tensors.append(
            TensorSpec(
                tensor.name,
                tensor.datatype,
                tuple(tensor.shape)[drop:],
                tensor.name in optional,
                tensor.name not in whole,
            )
        )
    return tuple(tensors)


def _has_sequences(config: ModelConfig, ask: Callable[[str], ModelConfig | None]) -> bool:
    """Whether it or, in an ensemble, a step of it has sequences: the ids pass through."""
    if config.HasField("sequence_batching"):
        return True
    steps = {step.model_name for step in config.ensemble_scheduling.step}
    configs = [found for name in sorted(steps) if (found := ask(name)) is not None]
    return any(_has_sequences(found, ask) for found in configs)


def _unknown(api: Api, name: str, error: RefusedError) -> SetupError | RefusedError:
    try:
        index = api.index()
    except RefusedError:
        index = None
    there = sorted({model.name for model in index.models}) if index is not None else []
    # Servers differ in which status means that a model is unknown; their list does not.
    if not error.unknown and (index is None or name in there):
        return error
    if name in there:
        return SetupError(f"{api.target.address} does not serve model {name!r}: {error.said}")
    known = f"it has {', '.join(there)}" if there else "it does not tell which it has"
    return SetupError(f"{api.target.address} has no model {name!r}: {known}", hint="-m names the model")
