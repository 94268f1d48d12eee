"""`infermesh perf report`: results of before, shown again."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from infermesh_perf.results import files
from infermesh_perf.results.document import Load, Run, TargetSummary
from support.perf_command import Perf
from support.perf_levels import level


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    document = Run(
        kind="run",
        command=["infermesh", "perf", "run"],
        started=datetime(2026, 3, 4, tzinfo=UTC),
        seconds=20,
        environment={},
        target=TargetSummary(url="grpc://box:8001", protocol="grpc", tls=False),
        workloads=[],
        levels=[level(Load(mode="concurrency", value=value)) for value in (1, 8)],
    )
    files.save(document, path)
    return path


def test_a_result_is_shown(perf: Perf, result: Path) -> None:
    outcome = perf("report", result)

    assert (outcome.code, outcome.err) == (0, "")
    assert "concurrency 8" in outcome.out


def test_a_page_and_a_table_are_made_anew(perf: Perf, result: Path, tmp_path: Path) -> None:
    outcome = perf("report", result, "--report", tmp_path / "out.html", "-f", tmp_path / "levels.csv")

    assert outcome.code == 0
    page = (tmp_path / "out.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "grpc://box:8001" in page
    rows = csv.DictReader(io.StringIO((tmp_path / "levels.csv").read_text()))
    assert [row["Concurrency"] for row in rows] == ["1", "8"]
    assert f"Written: {tmp_path / 'out.html'}" in outcome.err


def test_pages_of_several_results(perf: Perf, result: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_bytes(result.read_bytes())

    outcome = perf("report", result, other, "--report-dir", tmp_path / "pages")

    assert outcome.code == 0
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["other.html", "run.html"]
    assert str(other) in outcome.out


def test_pages_of_one_name_do_not_replace_each_other(perf: Perf, result: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    other = tmp_path / "old" / "run.json"
    other.write_bytes(result.read_bytes())

    outcome = perf("report", result, other, "--report-dir", tmp_path / "pages")

    assert outcome.code == 2
    assert "would both have the page run.html" in outcome.err
    assert not (tmp_path / "pages").exists()


def test_one_result_twice_is_no_matter(perf: Perf, result: Path) -> None:
    assert perf("report", result, result).code == 0


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"kind": "run", "schema_version": 99}', "\0"])
def test_what_is_no_result(perf: Perf, tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)

    outcome = perf("report", tmp_path / "x.json")

    assert outcome.code == 2
    assert "x.json" in outcome.err
    assert "Traceback" not in outcome.err


def test_options_that_do_not_fit(perf: Perf, result: Path, tmp_path: Path) -> None:
    page, folder = ("--report", tmp_path / "o.html"), ("--report-dir", tmp_path / "pages")

    for arguments in ((result, result, *page), (result, result, "-f", "x.csv"), (result, *page, *folder), ()):
        assert perf("report", *arguments).code == 2, arguments
    absent = perf("report", tmp_path / "absent.json")
    assert absent.code == 2
    assert "there is no such file" in absent.err
