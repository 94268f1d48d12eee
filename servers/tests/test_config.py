"""Errors of config.pbtxt: file, line, field, what was found, what is expected."""

from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh_servers.model.config import read_config
from infermesh_servers.model.positions import field_lines

MODEL = """\
name: "digits"
backend: "onnxruntime"
max_batch_size: 64
input [
  { name: "image" data_type: TYPE_FP32 dims: [ 64 ] }
]
output { name: "label" data_type: TYPE_INT64 dims: [ 1 ] }
output {
  name: "probabilities"
  data_type: TYPE_FP32
  dims: [ 10 ]
}
dynamic_batching { preferred_batch_size: [ 8, 32 ] }
version_policy: { specific { versions: [ 1, 3 ] } }
"""


def errors(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "config.pbtxt"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_config(path, "digits")
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(MODEL)
    config = read_config(path, "digits").config
    assert config.max_batch_size == 64
    assert [output.name for output in config.output] == ["label", "probabilities"]


def test_a_missing_name_is_that_of_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text("max_batch_size: 1")
    assert read_config(path, "digits").config.name == "digits"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            MODEL.replace("max_batch_size", "max_batch_sze"),
            "3: max_batch_sze: found an unknown field of ModelConfig, expected max_batch_size",
        ),
        (MODEL.replace("64\n", '"many"\n'), '3: max_batch_size: found "many", expected a whole number'),
        (
            MODEL.replace("onnxruntime", "tensorrt"),
            '2: backend: found "tensorrt", expected "onnxruntime" or "python"; serve the ONNX file that the '
            "engine was built from, with the execution accelerator tensorrt",
        ),
        (
            MODEL.replace('"digits"', '"letters"'),
            '1: name: found "letters", expected "digits", the name of its directory',
        ),
        (MODEL.replace('"digits"', "digits"), '1: name: found digits, expected a string in quotes: "digits"'),
        (
            MODEL + 'name: "digits"\n',
            "15: name: found a second one, expected it once",
        ),
        (
            MODEL.replace("\n  data_type: TYPE_FP32\n", "\n"),
            '8: output.data_type: found none in output "probabilities", expected a type such as TYPE_FP32',
        ),
        (
            MODEL.replace("[ 10 ]", "[ 0 ]"),
            '11: output.dims: found 0 in output "probabilities", expected 1 or more, or -1 for any size',
        ),
        (
            MODEL.replace('"probabilities"', '"label"'),
            '9: output.name: found "label" twice, expected each name once',
        ),
        (
            MODEL.replace("32 ] }\nversion", "65 ] }\nversion"),
            "13: preferred_batch_size: found 65, expected 1 to max_batch_size, which is 64",
        ),
        (
            MODEL.replace("32 ] }\nversion", "32 ] priority_levels: 3 }\nversion"),
            "13: default_priority_level: found 0, expected 1 to priority_levels, which is 3",
        ),
        (
            MODEL.replace(
                "32 ] }\nversion",
                "32 ] priority_levels: 1001 default_priority_level: 1 }\nversion",
            ),
            "13: priority_levels: found 1001, expected at most 1000",
        ),
        (
            MODEL.replace("32 ] }\nversion", "32 ] priority_queue_policy { key: 1 value { } } }\nversion"),
            "13: priority_queue_policy: found level 1, expected 1 to priority_levels, which is 0",
        ),
        (
            MODEL + 'parameters { key: "slo_ms" value { string_value: "soon" } }',
            '15: parameters: found "soon" for slo_ms, '
            "expected a number of milliseconds above 0, at most 86400000",
        ),
        (
            MODEL + 'parameters { key: "slo_ms" value { string_value: "0" } }',
            '15: parameters: found "0" for slo_ms, '
            "expected a number of milliseconds above 0, at most 86400000",
        ),
        (
            MODEL.replace("versions: [ 1, 3 ]", "versions: [ 1, 0 ]"),
            "14: version_policy.specific.versions: found 0, expected 1 or more",
        ),
        (
            MODEL + "sequence_batching { }",
            "15: sequence_batching: found beside dynamic_batching, expected only one of the two",
        ),
        (
            MODEL + "\n# a comment { name: }\nmodel_transaction_policy { decoupled: true }",
            "17: model_transaction_policy.decoupled: found true, expected false: "
            "a model of backend onnxruntime gives one answer to each request",
        ),
        (
            'platform: "tensorflow_graphdef"',
            '1: platform: found "tensorflow_graphdef", expected "onnxruntime_onnx" or "ensemble"; '
            "export it with tf2onnx, or call tensorflow in a Python model",
        ),
    ],
)
def test_an_error_says_where_what_and_what_instead(tmp_path: Path, text: str, message: str) -> None:
    assert errors(tmp_path, text) == [message]


def test_an_unknown_type_lists_the_types(tmp_path: Path) -> None:
    (error,) = errors(tmp_path, MODEL.replace("data_type: TYPE_INT64", "data_type: TYPE_INT65"))
    assert error.startswith("7: data_type: found TYPE_INT65, expected one of TYPE_INVALID, TYPE_BOOL,")


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    found = errors(tmp_path, 'name: "x"\nmax_batch_size: -1\n')
    assert [error.split(":")[0] for error in found] == ["1", "2"]


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_config(path, "digits")


def test_positions_follow_both_ways_to_write_a_list() -> None:
    lines = field_lines(MODEL)
    assert lines["input", 0, "dims"] == 5
    assert lines["output", 0, "name"] == 7
    assert lines["output", 1] == 8
    assert lines["output", 1, "dims", 0] == 11
    assert lines["dynamic_batching", 0, "preferred_batch_size", 1] == 13
