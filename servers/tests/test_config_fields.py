"""Every field of ModelConfig is either served or named in a warning."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh_servers.model.config import parse_override, read_config
from infermesh_servers.model.config_fields import IGNORED, SERVED

SERVED_PATHS = {".".join(filter(None, (at, name))) for at, names in SERVED.items() for name in names}


def paths(message: Descriptor, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every field by its dotted path, and whether it holds no others."""
    for field in message.fields:
        path = f"{prefix}{field.name}"
        inner = inside(field)
        yield path, inner is None
        if inner is not None:
            yield from paths(inner, f"{path}.")


def inside(field: FieldDescriptor) -> Descriptor | None:
    """The message that a field holds, or the values of a map; a message without fields is a mark."""
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        message = message.fields_by_name["value"].message_type
    return message if message is not None and message.fields else None


def is_ignored(path: str) -> bool:
    parts = path.split(".")
    return any(".".join(parts[: count + 1]) in IGNORED for count in range(len(parts)))


def test_every_field_is_in_one_list_and_every_entry_is_a_field() -> None:
    known = dict(paths(ModelConfig.DESCRIPTOR))
    leaves = {path for path, is_leaf in known.items() if is_leaf}
    assert {path for path in leaves if not is_ignored(path)} == SERVED_PATHS
    assert set(IGNORED) <= set(known)
    assert not {path for path in SERVED_PATHS if is_ignored(path)}


TRITON = """\
name: "m"
backend: "onnxruntime"
max_batch_size: 4
runtime: "libtriton_onnxruntime.so"
input { name: "x" data_type: TYPE_FP32 dims: 4 is_shape_tensor: true }
output { name: "y" data_type: TYPE_FP32 dims: 4 }
model_metrics { }
instance_group [
  {
    kind: KIND_CPU
    rate_limiter { resources [ { name: "R1" count: 4 } ] priority: 2 }
  },
  { host_policy: "cpu_0", passive: true }
]
optimization {
  priority: PRIORITY_MAX
  input_pinned_memory { enable: true }
  eager_batching: true
}
parameters { key: "TF_NUM_INTRA_THREADS" value: { string_value: "1" } }
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
cc_model_filenames { key: "8.0" value: "model_80.onnx" }
metric_tags { key: "team" value: "vision" }
model_repository_agents { agents { name: "checksum" } }
"""

WARNED = [
    (4, "runtime"),
    (5, "input.is_shape_tensor"),
    (7, "model_metrics"),
    (11, "instance_group.rate_limiter"),
    (13, "instance_group.passive"),
    (13, "instance_group.host_policy"),
    (16, "optimization.priority"),
    (18, "optimization.eager_batching"),
    (20, "parameters: TF_NUM_INTRA_THREADS"),
    (22, "cc_model_filenames"),
    (23, "metric_tags"),
    (24, "model_repository_agents"),
]


def test_what_has_no_meaning_here_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(TRITON)
    found = [warning.removeprefix(f"{path}:") for warning in read_config(path, "m").warnings]
    places = [warning.split(": ignored: ")[0] for warning in found]
    assert sorted(places) == sorted(f"{line}: {field}" for line, field in WARNED)
    assert "12: instance_group" not in " ".join(found)


def test_a_configuration_of_this_server_warns_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(
        'max_batch_size: 4 dynamic_batching {} parameters { key: "mine" value { string_value: "1" } }'
    )
    assert read_config(path, "m", ["model.py"]).warnings == ()
    assert "parameters: mine" in read_config(path, "m", ["model.onnx"]).warnings[0]


@pytest.mark.parametrize(
    "text", ['{"maxBatchSize": 4, "ccModelFilenames": {"8.0": "a"}}', '{"metric_tags": {"a": "b"}}']
)
def test_an_override_is_held_to_the_same(text: str) -> None:
    (warning,) = parse_override(text, "m").warnings
    assert warning.startswith("config override: ")
