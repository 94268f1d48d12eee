import csv
from pathlib import Path

import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.results import csv_file
from infermesh_perf.results.document import Comparison, Run
from support import perf_documents


def _saved(document: Run | Comparison, directory: Path) -> list[dict[str, str]]:
    path = directory / "levels.csv"
    csv_file.save(document, path)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_level_with_the_names_of_perf_analyzer(tmp_path: Path) -> None:
    run = perf_documents.run()

    rows = _saved(run, tmp_path)

    assert [row["Concurrency"] for row in rows] == ["2", "4", "8", "16", "32", "64"]
    assert list(rows[0])[:13] == [
        "Concurrency",
        "Inferences/Second",
        "Client Send",
        "Network+Server Send/Recv",
        "Server Queue",
        "Server Compute Input",
        "Server Compute Infer",
        "Server Compute Output",
        "Client Recv",
        "p50 latency",
        "p90 latency",
        "p95 latency",
        "p99 latency",
    ]
    first = run.levels[0]
    assert float(rows[0]["Inferences/Second"]) == pytest.approx(first.throughput, abs=0.05)
    assert float(rows[0]["p99 latency"]) == pytest.approx(first.latency.percentiles_ns["99"] / 1e3, abs=0.05)
    assert float(rows[0]["Max latency"]) == pytest.approx(first.latency.max_ns / 1e3, abs=0.05)
    assert (rows[0]["Objective Met"], rows[-1]["Objective Met"]) == ("yes", "no")


def test_the_parts_add_up_to_all_hops(tmp_path: Path) -> None:
    run = perf_documents.run()

    row = _saved(run, tmp_path)[0]

    parts = [float(text) for name, text in row.items() if name.startswith(("Client ", "Network", "Server "))]
    # The client's processor time has a similar name.
    whole = sum(parts) - float(row["Client CPU"])
    assert whole == pytest.approx(sum(hop.mean_ns for hop in run.levels[0].hops) / 1e3, abs=1)


def test_levels_without_hops_have_no_parts(tmp_path: Path) -> None:
    row = _saved(perf_documents.unanswered(), tmp_path)[0]

    assert "Server Queue" not in row
    assert (row["Stable"], row["Objective Met"], row["Valid"]) == ("", "no", "yes")


def test_columns_keep_their_places_where_only_some_levels_have_hops(tmp_path: Path) -> None:
    run = perf_documents.run()
    bare = run.levels[0].model_copy(update={"hops": []})
    mixed = run.model_copy(update={"levels": [bare, run.levels[1]]})

    rows = _saved(mixed, tmp_path)

    assert list(rows[0])[2] == "Client Send"
    assert rows[0]["Server Queue"] == ""
    assert float(rows[1]["Server Queue"]) > 0


def test_an_open_loop_has_its_rate_and_what_failed(tmp_path: Path) -> None:
    rows = _saved(perf_documents.failing(), tmp_path)

    assert [row["Request Rate"] for row in rows] == ["2000", "6000"]
    assert [row["Valid"] for row in rows] == ["yes", "no"]
    assert rows[1]["Failed Checks"] == "send lag"
    assert float(rows[1]["Error Share"]) == pytest.approx(0.08 / 1.08, abs=1e-4)


def test_a_comparison_has_both_sides(tmp_path: Path) -> None:
    rows = _saved(perf_documents.comparison(), tmp_path)

    assert [(row["Side"], row["Concurrency"]) for row in rows] == [("A", "16"), ("B", "16")]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be written"):
        csv_file.save(perf_documents.unanswered(), tmp_path)
