"""Errors of ragged inputs and what follows them: line, field, what was found, what is expected."""

from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh_servers.model.config import read_config

RAGGED = """\
backend: "onnxruntime"
max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: -1 allow_ragged_batch: true }
input { name: "z" data_type: TYPE_FP32 dims: -1 }
output [
  { name: "y" data_type: TYPE_FP32 dims: [ -1 ] }
]
batch_input {
  kind: BATCH_ACCUMULATED_ELEMENT_COUNT
  target_name: "ends"
  data_type: TYPE_INT32
  source_input: "x"
}
batch_output {
  target_name: "y"
  kind: BATCH_SCATTER_WITH_INPUT_SHAPE
  source_input: "x"
}
"""


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


@pytest.mark.parametrize(
    "more",
    [
        "",
        parameter("ragged_padding", "-inf"),
        parameter("ragged_padding.x", "0"),
        parameter("ragged_padding", "0") + parameter("allowed_batch_sizes", "2,4"),
    ],
)
def test_a_whole_configuration_is_read_without_a_warning(tmp_path: Path, more: str) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(RAGGED + more)
    assert read_config(path, "m").warnings == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('source_input: "x"', "", "8: batch_input.source_input: found 0, expected 1"),
        (
            'source_input: "x"',
            'source_input: "a"',
            '12: batch_input.source_input: found "a", expected an input of the model',
        ),
        (
            'source_input: "x"',
            'source_input: "z"',
            '12: batch_input.source_input: found "z", expected an input that has allow_ragged_batch',
        ),
        (
            "allow_ragged_batch: true",
            "allow_ragged_batch: true optional: true",
            '12: batch_input.source_input: found "x", which is optional, expected one that is always there',
        ),
        (
            "TYPE_INT32",
            "TYPE_INT64",
            "11: batch_input.data_type: found TYPE_INT64, expected TYPE_INT32 or TYPE_FP32",
        ),
        (
            'target_name: "ends"',
            "",
            "8: batch_input.target_name: found none, expected an input of the model",
        ),
        (
            'target_name: "ends"',
            'target_name: [ "ends", "z" ]',
            '10: batch_input.target_name: found "z" twice, expected an input that clients do not send',
        ),
        (
            'target_name: "y"',
            'target_name: "a"',
            '15: batch_output.target_name: found "a", expected an output of the model',
        ),
        (
            'target_name: "y"',
            'target_name: [ "y", "y" ]',
            '15: batch_output.target_name: found "y" twice, expected it once',
        ),
        (
            "dims: [ -1 ]",
            "dims: [ 2, -1 ]",
            '15: batch_output.target_name: found "y" with dims [2, -1], expected -1 only in dimensions '
            'that its source "x" has, whose dims are [-1]',
        ),
        (
            "dims: [ -1 ]",
            "dims: [ -1 ] reshape { shape: [ -1, 1 ] }",
            '15: batch_output.target_name: found "y", which has reshape, expected one without',
        ),
        (
            "allow_ragged_batch: true",
            "allow_ragged_batch: true reshape { shape: [ -1, 1 ] }",
            '3: input.reshape: found beside allow_ragged_batch in "x", expected one of them',
        ),
        (
            "max_batch_size: 4",
            "max_batch_size: 4 " + parameter("allowed_batch_sizes", "4"),
            '2: parameters: allowed_batch_sizes: found beside allow_ragged_batch of "x"',
        ),
        (
            "max_batch_size: 4",
            "max_batch_size: 4 " + parameter("ragged_padding", "none"),
            '2: parameters: ragged_padding: found "none", expected a value of FP32 for input "x"',
        ),
        (
            "max_batch_size: 4",
            "max_batch_size: 4 " + parameter("ragged_padding.z", "0"),
            "2: parameters: ragged_padding.z: found without an input that has allow_ragged_batch",
        ),
        (
            'backend: "onnxruntime"',
            'backend: "python" model_transaction_policy { decoupled: true }',
            "14: batch_output: found beside model_transaction_policy.decoupled, expected one of them",
        ),
    ],
)
def test_an_error_says_where_what_and_what_instead(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in RAGGED
    path = tmp_path / "config.pbtxt"
    path.write_text(RAGGED.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        read_config(path, "m")
    found = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    assert any(line.startswith(message) for line in found), found


@pytest.mark.parametrize(
    ("datatype", "good", "bad"),
    [
        ("UINT8", "255", "256"),
        ("INT8", "-128", "-129"),
        ("INT64", "-1", "1.5"),
        ("BOOL", "true", "2"),
        ("FP16", "1e-3", ""),
        ("STRING", "", None),
    ],
)
def test_padding_is_a_value_of_the_inputs_type(
    tmp_path: Path, datatype: str, good: str, bad: str | None
) -> None:
    path = tmp_path / "config.pbtxt"
    port = f'name: "x" data_type: TYPE_{datatype} dims: -1 allow_ragged_batch: true'
    text = f"max_batch_size: 2 input {{ {port} }}"
    path.write_text(text + parameter("ragged_padding", good))
    assert read_config(path, "m")
    if bad is not None:
        path.write_text(text + parameter("ragged_padding", bad))
        with pytest.raises(ConfigurationError, match="expected a value of"):
            read_config(path, "m")


def test_an_ensemble_is_told_that_its_members_batch(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(
        """\
max_batch_size: 2
input { name: "x" data_type: TYPE_FP32 dims: -1 allow_ragged_batch: true }
output { name: "y" data_type: TYPE_FP32 dims: -1 }
ensemble_scheduling {
  step { model_name: "a" input_map { key: "x" value: "x" } output_map { key: "y" value: "y" } }
}
batch_output { target_name: "y" source_input: "x" }
"""
    )
    found = [warning.removeprefix(f"{path}:") for warning in read_config(path, "m").warnings]
    ends = "ignored: an ensemble forms no batches; its members' configurations say it"
    assert found == [f"2: input.allow_ragged_batch: {ends}", f"7: batch_output: {ends}"]
