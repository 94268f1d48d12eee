"""Several repositories as one, and what the command line may name."""

from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh_servers.model.repositories import open_repositories
from infermesh_servers.model.s3.location import Location


def write(root: Path, path: str, text: str = "") -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_models_of_all_repositories_are_found(tmp_path: Path) -> None:
    write(tmp_path, "one/a/1/model.onnx")
    write(tmp_path, "two/b/1/model.py")
    both = open_repositories([str(tmp_path / "two"), str(tmp_path / "one")])
    both.check()
    assert {name: entry.backend for name, entry in both.scan().items()} == {"a": "onnxruntime", "b": "python"}
    found = both.find("b")
    assert found is not None
    assert found.directory == tmp_path / "two" / "b"
    assert both.find("c") is None


def test_a_model_in_two_of_them_is_a_problem_of_that_model(tmp_path: Path) -> None:
    write(tmp_path, "one/a/1/model.onnx")
    write(tmp_path, "two/a/1/model.onnx")
    write(tmp_path, "two/b/1/model.onnx")
    both = open_repositories([str(tmp_path / "one"), str(tmp_path / "two")])
    problem = (
        f"found the model 'a' in {tmp_path / 'one/a'} and {tmp_path / 'two/a'}, expected it in one repository"
    )
    scanned = both.scan()
    assert scanned["a"].problems == (problem,)
    assert not scanned["b"].problems
    found = both.find("a")
    assert found is not None
    assert found.problems == (problem,)


def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="absent does not exist"):
        open_repositories([str(tmp_path), str(tmp_path / "absent")]).check()
    with pytest.raises(ConfigurationError, match="was given twice"):
        open_repositories([str(tmp_path), str(tmp_path)])


def test_a_model_file_may_be_a_folder_that_holds_it(tmp_path: Path) -> None:
    write(tmp_path, "a/1/model.onnx/model.onnx")
    write(tmp_path, "a/1/model.onnx/weights.bin")
    (version,) = open_repositories([str(tmp_path)]).scan()["a"].versions
    assert version.file == tmp_path / "a/1/model.onnx/model.onnx"
    assert len(version.stamp) == 2


@pytest.mark.parametrize("name", ["../a/1/model.onnx", "/etc/passwd", "x/../../y"])
def test_a_model_file_stays_in_its_version(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a/1/model.onnx")
    write(tmp_path, "a/config.pbtxt", f'backend: "onnxruntime" default_model_filename: "{name}"')
    (problem,) = open_repositories([str(tmp_path)]).scan()["a"].problems
    assert "expected a path inside the version's directory" in problem


@pytest.mark.parametrize(
    ("text", "endpoint", "bucket", "prefix"),
    [
        ("s3://models", None, "models", ""),
        ("s3://models/a/b/", None, "models", "a/b/"),
        ("s3://minio:9000/models//a", "http://minio:9000", "models", "a/"),
        ("s3://https://minio.example:443/models", "https://minio.example:443", "models", ""),
        ("s3://http://[::1]:9000/models/a", "http://[::1]:9000", "models", "a/"),
    ],
)
def test_locations_on_s3(text: str, endpoint: str | None, bucket: str, prefix: str) -> None:
    location = Location.parse(text)
    assert (location.endpoint, location.bucket, location.prefix) == (endpoint, bucket, prefix)
