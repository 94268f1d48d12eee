"""What a model configuration says in vain."""

from collections.abc import Iterable, Iterator

from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh_native import ONNX_PARAMETERS

from infermesh_servers.model import labels
from infermesh_servers.model.backends import ONNXRUNTIME, choose_backend
from infermesh_servers.model.batching_rules import SLO_MS
from infermesh_servers.model.config_fields import ignored_fields
from infermesh_servers.model.remarks import Remark

#: Parameters that the server reads itself, of a model of any backend.
_SERVER_PARAMETERS = (labels.PARAMETER, "allowed_batch_sizes", SLO_MS)


def warnings(config: ModelConfig, files: Iterable[str] = ()) -> list[Remark]:
    """Return everything that a configuration says in vain; ``files`` are those of its version directories."""
    return [
        *(Remark(path, f"{field}: ignored: {reason}") for path, field, reason in ignored_fields(config)),
        *_unknown_parameters(config, files),
    ]


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
