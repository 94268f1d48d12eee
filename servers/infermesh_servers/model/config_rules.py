"""What a model configuration must keep beyond its schema."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from infermesh.proto.inference import model_config_pb2
from infermesh.proto.inference.model_config_pb2 import ModelConfig, ModelInput, ModelOutput
from infermesh.remarks import BrokenRule

from infermesh_servers.model import labels
from infermesh_servers.model.backends import BACKENDS, ONNXRUNTIME, PLATFORMS, instead_of
from infermesh_servers.model.batching_rules import batching_rules
from infermesh_servers.model.ensemble_rules import ensemble_rules
from infermesh_servers.model.ragged_rules import ragged_rules
from infermesh_servers.model.sequence_rules import sequence_rules

#: Height, width and channels, in either order.
IMAGE_DIMS = 3


def broken_rules(config: ModelConfig, model_name: str) -> list[BrokenRule]:
    """Return every mistake in a configuration that belongs to the directory ``model_name``."""
    return [
        *_identity(config, model_name),
        *_tensors("input", config.input),
        *_tensors("output", config.output),
        *batching_rules(config),
        *sequence_rules(config),
        *ragged_rules(config),
        *_serving(config),
        *_parameters(config),
        *ensemble_rules(config, model_name),
    ]


def _identity(config: ModelConfig, model_name: str) -> Iterator[BrokenRule]:
    if config.name and config.name != model_name:
        yield BrokenRule(
            ("name",), f'name: found "{config.name}", expected "{model_name}", the name of its directory'
        )
    if config.backend and config.backend not in BACKENDS:
        expected = " or ".join(f'"{name}"' for name in BACKENDS)
        yield BrokenRule(
            ("backend",),
            f'backend: found "{config.backend}", expected {expected}{instead_of(config.backend)}',
        )
    if config.platform and config.platform not in PLATFORMS:
        expected = " or ".join(f'"{name}"' for name in PLATFORMS)
        yield BrokenRule(
            ("platform",),
            f'platform: found "{config.platform}", expected {expected}{instead_of(config.platform)}',
        )
    implied = PLATFORMS.get(config.platform)
    if config.model_transaction_policy.decoupled and ONNXRUNTIME in (config.backend, implied):
        yield BrokenRule(
            ("model_transaction_policy", 0, "decoupled"),
            "model_transaction_policy.decoupled: found true, expected false: "
            f"a model of backend {ONNXRUNTIME} gives one answer to each request",
        )
    if implied and config.backend in BACKENDS and config.backend != implied:
        yield BrokenRule(
            ("platform",),
            f'platform: found "{config.platform}" beside backend "{config.backend}", expected one of them',
        )


def _tensors(kind: str, tensors: Sequence[ModelInput | ModelOutput]) -> Iterator[BrokenRule]:
    names: set[str] = set()
    for index, tensor in enumerate(tensors):
        at = (kind, index)
        called = f'{kind} "{tensor.name}"' if tensor.name else f"{kind} number {index + 1}"
        if not tensor.name:
            yield BrokenRule((*at, "name"), f"{kind}.name: found none in {called}, expected a name")
        elif tensor.name in names:
            yield BrokenRule(
                (*at, "name"), f'{kind}.name: found "{tensor.name}" twice, expected each name once'
            )
        names.add(tensor.name)
        if tensor.data_type == model_config_pb2.TYPE_INVALID:
            yield BrokenRule(
                (*at, "data_type"),
                f"{kind}.data_type: found none in {called}, expected a type such as TYPE_FP32",
            )
        if isinstance(tensor, ModelInput) and tensor.format and len(tensor.dims) != IMAGE_DIMS:
            yield BrokenRule(
                (*at, "dims"),
                f"{kind}.dims: found {len(tensor.dims)} in {called}, "
                f"expected the {IMAGE_DIMS} of {ModelInput.Format.Name(tensor.format)}",
            )
        for dim in tensor.dims:
            if dim < -1 or dim == 0:
                yield BrokenRule(
                    (*at, "dims"),
                    f"{kind}.dims: found {dim} in {called}, expected 1 or more, or -1 for any size",
                )


def _serving(config: ModelConfig) -> Iterator[BrokenRule]:
    for index, group in enumerate(config.instance_group):
        if group.count < 0:
            yield BrokenRule(
                ("instance_group", index, "count"),
                f"instance_group.count: found {group.count}, expected 1 or more",
            )
    for version in config.version_policy.specific.versions:
        if version < 1:
            yield BrokenRule(
                ("version_policy", 0, "specific", 0, "versions"),
                f"version_policy.specific.versions: found {version}, expected 1 or more",
            )
    if config.version_policy.HasField("specific") and not config.version_policy.specific.versions:
        yield BrokenRule(
            ("version_policy", 0, "specific"),
            "version_policy.specific: found no versions, expected at least one",
        )


def _parameters(config: ModelConfig) -> Iterator[BrokenRule]:
    try:
        labels.read_labels(config)
    except ValueError as error:
        yield BrokenRule(("parameters", labels.PARAMETER), f"parameters: {labels.PARAMETER}: {error}")
    name = PurePosixPath(config.default_model_filename)
    if name.is_absolute() or ".." in name.parts or "\0" in config.default_model_filename:
        yield BrokenRule(
            ("default_model_filename",),
            f'default_model_filename: found "{config.default_model_filename}", '
            "expected a path inside the version's directory",
        )
