"""What a load may be given along, and what it may not."""

import gc
import re
import stat
from pathlib import PurePosixPath

import pytest
from infermesh_servers.model.overrides import read_overrides

FILE = "file:1/model.onnx"


def test_no_parameters_are_no_overrides() -> None:
    overrides = read_overrides("m", {})
    assert (overrides.config, overrides.files) == (None, None)


@pytest.mark.parametrize("text", ['{"max_batch_size": 4}', '{"maxBatchSize": "4", "name": "m"}'])
def test_a_configuration_is_json_with_either_kind_of_name(text: str) -> None:
    config = read_overrides("m", {"config": text}).config
    assert config is not None
    assert (config.config.name, config.config.max_batch_size) == ("m", 4)


def test_files_are_private_and_go_with_the_last_reference() -> None:
    overrides = read_overrides("m", {"config": "{}", FILE: b"onnx", "file:labels.txt": b""})
    directory = overrides.localize()
    path = directory.path
    assert (path / "1" / "model.onnx").read_bytes() == b"onnx"
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    del directory
    gc.collect()
    assert not path.exists()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"colour": "blue"}, "unrecognized load parameter 'colour'."),
        ({"config": b"{}"}, "invalid value type for load parameter 'config', expected string_param."),
        ({"config": 1}, "expected string_param"),
        ({"config": ""}, "Invalid config override"),
        ({"config": "{"}, "Invalid config override"),
        ({"config": "[]"}, "Invalid config override"),
        ({"config": "3"}, "Invalid config override"),
        ({"config": "null"}, "Invalid config override"),
        ({"config": '{"max_batch": 4}'}, 'no field named "max_batch"'),
        ({"config": '{"max_batch_size": "many"}'}, "Invalid config override"),
        ({"config": '{"max_batch_size": 1e30}'}, "Invalid config override"),
        ({"config": '{"max_batch_size": -1}'}, "max_batch_size: found -1"),
        ({"config": '{"name": "other"}'}, 'found "other", expected "m"'),
        ({"config": '{"input": ' * 200}, "Invalid config override"),
        ({"config": '{"a": ' + "[" * 100_000}, "Invalid config override"),
        ({"config": '{"backend": "tensorrt_plan"}'}, 'backend: found "tensorrt_plan"'),
        ({"config": '{"default_model_filename": "../../x"}'}, "inside the version's directory"),
        ({FILE: b"onnx"}, "override files are given without 'config'"),
        (
            {"config": "{}", FILE: "text"},
            f"invalid value type for load parameter '{FILE}', expected bytes_param.",
        ),
        ({"config": "{}", "file:1": b"", "file:1/a": b""}, "'file:1' is the directory of another file"),
        ({"config": None}, "expected string_param"),
    ],
)
def test_what_cannot_be_used_is_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_overrides("m", parameters)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "1/../../x",
        "1//x",
        "./x",
        "1/",
        "a\0b",
        "1\\x",
        "a\nb",
        "x" * 256,
        "/".join("a" * 17),
        "\udcff" * 200,
    ],
)
def test_a_file_stays_in_its_directory(path: str) -> None:
    with pytest.raises(ValueError, match="names no file of a model"):
        read_overrides("m", {"config": "{}", f"file:{path}": b""})


def test_names_that_only_look_strange_are_names() -> None:
    files = read_overrides("m", {"config": "{}", "file:1/ä b..c": b"x"}).files
    assert files == {PurePosixPath("1/ä b..c"): b"x"}
