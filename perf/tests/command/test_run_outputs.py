"""Where the result of a run goes: files, standard output, a page."""

import csv
import io
import json
from pathlib import Path

import pytest
from infermesh_perf.results import files
from infermesh_perf.results.document import Run
from support.perf_command import QUICK, Perf


def test_everything_at_once(perf: Perf, grpc: str, tmp_path: Path) -> None:
    run, table, page = (tmp_path / name for name in ("run.json", "levels.csv", "out.html"))

    outcome = perf(
        *("run", "-m", "add", "-u", grpc, "-b", "2", "--concurrency-range", "1,2", *QUICK),
        *("-o", run, "-f", table, "--report", page, "--tags", '{"build": "1.4"}'),
    )

    assert outcome.code in (0, 3), outcome
    found = files.load(run)
    assert isinstance(found, Run)
    assert found.tags == {"build": "1.4"}
    assert found.command[:6] == ["infermesh", "perf", "run", "-m", "add", "-u"]
    assert (found.environment["seed"], found.environment["threads"]) == (1, found.environment["connections"])
    assert found.environment["infermesh"]
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["Concurrency"] for row in rows] == ["1", "2"]
    assert float(rows[0]["Inferences/Second"]) == pytest.approx(found.levels[0].throughput, abs=0.1)
    assert page.read_text().startswith("<!doctype html>")
    # Standard output is for people then, and says nothing of files; what was written is told beside it.
    assert "concurrency 2" in outcome.out
    for path in (run, table, page):
        assert f"Written: {path}" in outcome.err


def test_json_on_standard_output(perf: Perf, grpc: str) -> None:
    outcome = perf("run", "-m", "fixed", "-u", grpc, *QUICK, "-O", "json")

    found = json.loads(outcome.out)
    assert (found["kind"], found["schema_version"], len(found["levels"])) == ("run", 1, 1)
    assert Run.model_validate(found).levels[0].completed > 0


def test_csv_on_standard_output(perf: Perf, grpc: str) -> None:
    outcome = perf("run", "-m", "fixed", "-u", grpc, *QUICK, "-O", "csv")

    (row,) = csv.DictReader(io.StringIO(outcome.out))
    assert int(row["Completed"]) > 0


@pytest.mark.parametrize(
    ("name", "form", "begins"),
    [
        ("run.json", None, "{"),
        ("run.txt", None, "{"),
        ("run.csv", None, "Concurrency,"),
        ("run.json", "csv", "Concurrency,"),
        ("run.csv", "json", "{"),
        ("run.txt", "pretty", "load "),
    ],
)
def test_the_form_of_a_file(
    perf: Perf, grpc: str, tmp_path: Path, name: str, form: str | None, begins: str
) -> None:
    more = () if form is None else ("-O", form)

    outcome = perf("run", "-m", "fixed", "-u", grpc, *QUICK, "-o", tmp_path / name, *more)

    assert outcome.code in (0, 3)
    assert (tmp_path / name).read_text().startswith(begins)
    assert outcome.out.startswith("load ")


def test_every_request_by_itself(perf: Perf, grpc: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.json"

    outcome = perf(
        *("run", "-m", "fixed", "-u", grpc, "--concurrency-range", "1,3", "-n", "150", "--warm-up", "0"),
        *("--no-calibration", "--profile-export-file", path),
    )

    assert outcome.code in (0, 3)
    found = json.loads(path.read_text())
    assert [each["experiment"] for each in found["experiments"]] == [
        {"mode": "concurrency", "value": 1},
        {"mode": "concurrency", "value": 3},
    ]
    for each in found["experiments"]:
        assert len(each["requests"]) == 150
        for request in each["requests"]:
            assert request["due"] <= request["timestamp"] < request["response_timestamps"][0]
    assert found["service_kind"] == "triton"
    assert found["endpoint"].endswith(grpc)


def test_answers_of_a_stream_by_themselves(perf: Perf, grpc: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.json"

    perf(
        *("run", "-m", "each", "-u", grpc, "--shape", "x:3", "--input-data", "zero", "-n", "20"),
        *("--warm-up", "0", "--no-calibration", "--profile-export-file", path),
    )

    ((experiment),) = json.loads(path.read_text())["experiments"]
    for request in experiment["requests"]:
        assert len(request["response_timestamps"]) == 3
        assert request["response_timestamps"] == sorted(request["response_timestamps"])


def test_exported_requests_of_a_halved_range_have_their_own_load(
    perf: Perf, grpc: str, tmp_path: Path
) -> None:
    path, run = tmp_path / "requests.json", tmp_path / "run.json"

    perf(
        *("run", "-m", "fixed", "-u", grpc, "--concurrency-range", "1:16", "--binary-search", "-l", "10000"),
        *(*QUICK, "--profile-export-file", path, "-o", run),
    )

    document = files.load(run)
    assert isinstance(document, Run)
    measured = {level.load.value: level.completed for level in document.levels}
    exported = {
        each["experiment"]["value"]: len(each["requests"])
        for each in json.loads(path.read_text())["experiments"]
    }
    assert exported == measured


def test_quiet(perf: Perf, grpc: str) -> None:
    loud = perf("run", "-m", "fixed", "-u", grpc, *QUICK)
    quiet = perf("run", "-m", "fixed", "-u", grpc, *QUICK, "-q")

    assert "window 1" in loud.err
    assert quiet.err == ""
    assert quiet.out.startswith("load ")
