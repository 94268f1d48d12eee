"""What a model configuration says in vain."""

from collections.abc import Iterable, Iterator

from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh.remarks import Remark
from infermesh_native import ONNX_PARAMETERS

from infermesh_servers.model import labels
from infermesh_servers.model.backends import ONNXRUNTIME, choose_backend
from infermesh_servers.model.batching_rules import SLO_MS
from infermesh_servers.model.config_fields import ignored_fields
from infermesh_servers.model.ragged import PADDING

#: Parameters that the server reads itself, of a model of any backend.
_SERVER_PARAMETERS = (labels.PARAMETER, "allowed_batch_sizes", SLO_MS, PADDING)


def warnings(config: ModelConfig, files: Iterable[str] = ()) -> list[Remark]:
    """Return everything that a configuration says in vain; ``files`` are those of its version directories."""
    return [
        *(Remark(path, f"{field}: ignored: {reason}") for path, field, reason in ignored_fields(config)),
        *_uncacheable(config),
        *_left_to_members(config),
        *_unknown_parameters(config, files),
    ]


def _uncacheable(config: ModelConfig) -> Iterator[Remark]:
    kinds = {
        "a decoupled model has no one answer to a request": config.model_transaction_policy.decoupled,
        "an answer within a sequence depends on those before it": config.HasField("sequence_batching"),
    }
    for reason, applies in kinds.items():
        if applies and config.response_cache.enable:
            yield Remark(("response_cache", 0, "enable"), f"response_cache.enable: ignored: {reason}")


def _left_to_members(config: ModelConfig) -> Iterator[Remark]:
    if not config.HasField("ensemble_scheduling"):
        return
    ragged = [
        ("input", index, "allow_ragged_batch")
        for index, it in enumerate(config.input)
        if it.allow_ragged_batch
    ]
    made = [(field,) for field in ("batch_input", "batch_output") if getattr(config, field)]
    for path in (*ragged, *made):
        field = ".".join(part for part in path if isinstance(part, str))
        yield Remark(
            path, f"{field}: ignored: an ensemble forms no batches; its members' configurations say it"
        )


def _unknown_parameters(config: ModelConfig, files: Iterable[str]) -> Iterator[Remark]:
    """A backend's parameters are named by many hands; those of another build of it are no mistake."""
    try:
        if choose_backend(config, files) != ONNXRUNTIME:
            return
    except ValueError:
        return
    for key in sorted(config.parameters):
        if key not in (*ONNX_PARAMETERS, *_SERVER_PARAMETERS) and "." not in key:
            known = ", ".join(sorted(ONNX_PARAMETERS))
            yield Remark(
                ("parameters", key),
                f"parameters: {key}: ignored: the onnxruntime backend knows {known} "
                "and session entries such as session.intra_op.allow_spinning",
            )
