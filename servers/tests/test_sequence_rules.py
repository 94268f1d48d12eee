"""Errors of sequence_batching: line, field, what was found, what is expected."""

from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh_servers.model.config import read_config

SEQUENCES = """\
max_batch_size: 4
input { name: "x" data_type: TYPE_INT32 dims: [ 1 ] }
output { name: "y" data_type: TYPE_INT32 dims: [ 1 ] }
sequence_batching {
  max_sequence_idle_microseconds: 500000
  control_input [
    {
      name: "START"
      control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] }
    },
    {
      name: "ID"
      control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 }
    }
  ]
  state {
    input_name: "was"
    output_name: "is"
    data_type: TYPE_INT32
    dims: [ -1, 2 ]
    initial_state {
      name: "first"
      data_type: TYPE_INT32
      dims: [ 3, 2 ]
      zero_data: true
    }
  }
  oldest { max_candidate_sequences: 8 preferred_batch_size: [ 2, 4 ] }
}
"""


def errors(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "config.pbtxt"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_config(path, "m")
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(SEQUENCES)
    assert read_config(path, "m").config.sequence_batching.oldest.max_candidate_sequences == 8


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'name: "START"',
            'name: "x"',
            '8: control_input.name: found "x" twice, expected an input that clients do not send',
        ),
        ('name: "START"', "", "7: control_input.name: found none, expected a name"),
        (
            "_CORRID data_type: TYPE_UINT64",
            "_START int32_false_true: [ 0, 1 ]",
            "13: control.kind: found CONTROL_SEQUENCE_START twice, expected it once",
        ),
        (
            "TYPE_UINT64",
            "TYPE_FP32",
            "13: control.data_type: found TYPE_FP32 for CONTROL_SEQUENCE_CORRID, "
            "expected one of TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32, TYPE_STRING",
        ),
        (
            "TYPE_UINT64",
            "TYPE_UINT64 bool_false_true: [ false, true ]",
            "13: bool_false_true: found for CONTROL_SEQUENCE_CORRID, expected data_type",
        ),
        (
            "[ 0, 1 ]",
            "[ 0 ]",
            "9: fp32_false_true: found 1 values for CONTROL_SEQUENCE_START, "
            "expected 2: for false and for true",
        ),
        (
            "fp32_false_true: [ 0, 1 ]",
            "",
            "9: control: found none for CONTROL_SEQUENCE_START, "
            "expected one of int32_false_true, fp32_false_true, bool_false_true",
        ),
        (
            "control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] }",
            "",
            '7: control_input: found 0 controls in "START", expected 1',
        ),
        ('input_name: "was"', 'input_name: "x"', '17: state.input_name: found "x" twice, expected it once'),
        ('output_name: "is"', "", "16: state.output_name: found none, expected a name"),
        (
            "dims: [ -1, 2 ]",
            "dims: [ 0, 2 ]",
            "20: state.dims: found 0, expected 1 or more, or -1 for any size",
        ),
        (
            "dims: [ 3, 2 ]",
            "dims: [ 3, 4 ]",
            "24: initial_state.dims: found [3, 4], expected fixed sizes that fit [-1, 2]",
        ),
        (
            "zero_data: true",
            'data_file: "../secret"',
            '25: data_file: found "../secret", expected the name of a file in initial_state/',
        ),
        ("zero_data: true", "", "21: initial_state: found no data, expected zero_data or data_file"),
        ('name: "first"', "", "21: initial_state.name: found none, expected a name"),
        (
            'name: "first"\n      data_type: TYPE_INT32',
            'name: "first"\n      data_type: TYPE_FP32',
            "23: initial_state.data_type: found TYPE_FP32, expected TYPE_INT32, the state's type",
        ),
        (
            "[ 2, 4 ]",
            "[ 2, 5 ]",
            "28: preferred_batch_size: found 5, expected 1 to max_batch_size, which is 4",
        ),
        ("sequences: 8", "sequences: -1", "28: max_candidate_sequences: found -1, expected 1 to 16384"),
        (
            "oldest { max_candidate_sequences: 8 preferred_batch_size: [ 2, 4 ] }",
            "direct { minimum_slot_utilization: 1.5 }",
            "28: minimum_slot_utilization: found 1.5, expected a share from 0 to 1",
        ),
        (
            "max_sequence_idle_microseconds: 500000",
            "iterative_sequence: true",
            "5: iterative_sequence: found true, expected false: a decoupled Python model can iterate",
        ),
        (
            "max_batch_size: 4",
            "max_batch_size: 4 model_transaction_policy { decoupled: true }",
            "4: sequence_batching: found beside model_transaction_policy.decoupled, expected one of them",
        ),
    ],
)
def test_an_error_says_where_what_and_what_instead(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SEQUENCES
    found = errors(tmp_path, SEQUENCES.replace(old, new, 1))
    assert message in found, found
