import json
from collections.abc import Callable
from pathlib import Path

import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.results import files
from infermesh_perf.results.document import Comparison, Run
from support import perf_documents


@pytest.mark.parametrize("make", [perf_documents.search, perf_documents.failing, perf_documents.comparison])
def test_what_was_saved_is_loaded_again(make: Callable[[], Run | Comparison], tmp_path: Path) -> None:
    document = make()
    path = tmp_path / "made" / "result.json"

    files.save(document, path)

    assert files.load(path) == document
    assert [each.name for each in path.parent.iterdir()] == ["result.json"]


def test_a_line_of_the_file_holds_one_fact(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    files.save(perf_documents.unanswered(), path)

    assert '\n "kind": "run",\n' in path.read_text()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no such file"):
        files.load(tmp_path / "nowhere.json")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        files.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON: Expecting value in line 1, column 1"),
        (b'{"kind": "run",', "is no JSON"),
        (b"\xff\xfe", "is no text"),
        (b"[]", "holds no result"),
        (b'{"kind": "run"}', "holds no result"),
        (b'{"kind": "walk", "schema_version": 1}', "holds no result"),
        (b'{"kind": ["run"], "schema_version": 1}', "holds no result"),
        (b'{"kind": "run", "schema_version": 2}', "has schema 2, expected 1"),
        (b'{"kind": "run", "schema_version": 1}', "command: field required"),
    ],
)
def test_a_file_that_is_no_result(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(content)

    with pytest.raises(SetupError, match=message) as raised:
        files.load(path)
    assert str(path) in str(raised.value)


def test_the_field_that_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    files.save(perf_documents.unanswered(), path)
    found = json.loads(path.read_text())
    found["levels"][0]["latency"]["count"] = "many"
    path.write_text(json.dumps(found))

    with pytest.raises(SetupError, match=r"levels\.0\.latency\.count: input should be a valid integer"):
        files.load(path)


def test_a_page_in_place_of_its_data_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("<!doctype html>\n<html></html>")

    with pytest.raises(SetupError, match="is no JSON") as raised:
        files.load(path)
    assert raised.value.hint is not None
    assert "raw data" in raised.value.hint


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()

    with pytest.raises(SetupError, match="cannot be written"):
        files.save(perf_documents.unanswered(), tmp_path / "result.json")
    assert [each.name for each in tmp_path.iterdir()] == ["result.json"]
