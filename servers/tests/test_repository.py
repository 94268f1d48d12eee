"""What a scan finds in a repository, and what it makes of broken models."""

from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh_servers.model.repository import scan


def write(root: Path, path: str, text: str = "") -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_scan_finds_models_backends_and_the_latest_version(tmp_path: Path) -> None:
    write(tmp_path, "digits/1/model.onnx")
    write(tmp_path, "digits/10/model.onnx")
    write(tmp_path, "digits/9/model.onnx")
    write(tmp_path, "words/1/model.py")
    write(tmp_path, "words/config.pbtxt", 'version_policy { all {} } parameters { key: "a" }')
    write(tmp_path, "README.md")
    write(tmp_path, ".git/1/model.onnx")
    found = scan(tmp_path)
    assert list(found) == ["digits", "words"]
    assert found["digits"].backend == "onnxruntime"
    assert found["digits"].config is None
    assert [version.number for version in found["digits"].versions] == [10]
    assert found["digits"].versions[0].file == tmp_path / "digits/10/model.onnx"
    assert found["words"].backend == "python"
    assert found["words"].config is not None
    assert not found["words"].problems


def test_directories_that_are_no_version_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "digits/1/model.onnx")
    for name in ("01", "0", "-1", "v2", "²", "99999999999999999999"):
        write(tmp_path, f"digits/{name}/model.onnx")
    write(tmp_path, "digits/2", "a file, not a directory")
    assert [version.number for version in scan(tmp_path)["digits"].versions] == [1]


def test_triton_s_platform_and_file_name_are_understood(tmp_path: Path) -> None:
    write(tmp_path, "a/1/net.onnx")
    write(tmp_path, "a/config.pbtxt", 'platform: "onnxruntime_onnx" default_model_filename: "net.onnx"')
    write(tmp_path, "b/1/code.py")
    write(tmp_path, "b/config.pbtxt", 'default_model_filename: "code.py"')
    found = scan(tmp_path)
    assert (found["a"].backend, found["a"].versions[0].file.name) == ("onnxruntime", "net.onnx")
    assert (found["b"].backend, found["b"].versions[0].file.name) == ("python", "code.py")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (
            ["m/1/model.txt"],
            "found only model.txt in its version directories, expected model.onnx or",
        ),
        (["m/1/model.py", "m/1/model.onnx"], "found both model.onnx and model.py, expected one of them"),
        (["m/notes.txt"], "found no file in its version directories"),
    ],
)
def test_a_broken_model_says_what_is_expected(tmp_path: Path, files: list[str], problem: str) -> None:
    write(tmp_path, "good/1/model.onnx")
    for file in files:
        write(tmp_path, file)
    found = scan(tmp_path)
    assert problem in found["m"].problems[0]
    assert str(tmp_path / "m") in found["m"].problems[0]
    assert not found["good"].problems


def test_a_broken_configuration_is_the_problem_of_its_model_alone(tmp_path: Path) -> None:
    write(tmp_path, "good/1/model.onnx")
    write(tmp_path, "m/1/model.onnx")
    write(tmp_path, "m/config.pbtxt", "max_batch_size: many")
    found = scan(tmp_path)
    assert "config.pbtxt:1: max_batch_size: found many" in found["m"].problems[0]
    assert found["good"].backend == "onnxruntime"


def test_a_policy_that_chooses_nothing_is_a_problem_and_names_the_version(tmp_path: Path) -> None:
    write(tmp_path, "m/1/model.onnx")
    write(tmp_path, "m/config.pbtxt", "version_policy { specific { versions: [ 7 ] } }")
    entry = scan(tmp_path)["m"]
    assert "found no version to serve" in entry.problems[0]
    assert "found no version 7" in entry.warnings[0]


def test_what_python_caches_is_no_change(tmp_path: Path) -> None:
    write(tmp_path, "m/1/model.py")
    before = scan(tmp_path)
    write(tmp_path, "m/1/__pycache__/model.pyc")
    assert scan(tmp_path) == before
    write(tmp_path, "m/1/weights.bin", "1")
    assert scan(tmp_path) != before


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_repository_must_be_a_directory(tmp_path: Path, name: str) -> None:
    write(tmp_path, "file")
    with pytest.raises(ConfigurationError, match=name) as caught:
        scan(tmp_path / name)
    assert caught.value.hint is not None
