"""What tables say."""

from infermesh_perf.report import level_tables, tables
from infermesh_perf.report.table import Table
from support import perf_documents


def _column(table: Table, heading: str) -> list[str]:
    place = table.headings.index(heading)
    return [row[place] for row in table.rows]


def test_loads_have_only_columns_that_say_something() -> None:
    closed = tables.levels(perf_documents.run())
    overloaded = tables.levels(perf_documents.failing())

    assert "unsent" not in closed.headings
    assert "first p50" not in closed.headings
    assert _column(overloaded, "unsent") == ["2,772", "45,124"]
    assert _column(overloaded, "valid") == ["valid", "INVALID"]


def test_several_answers_to_a_request_show_when_the_first_came() -> None:
    run = perf_documents.run()
    streamed = run.levels[0].model_copy(update={"first_response": run.levels[0].service})

    table = tables.levels(run.model_copy(update={"levels": [streamed]}))

    assert (_column(table, "first p50"), _column(table, "p50")) == (["925 µs"], ["933 µs"])


def test_the_longest_stage_of_a_slow_request_comes_first() -> None:
    level = perf_documents.run().levels[0]

    table = level_tables.slowest(level)

    assert _column(table, "stages")[:2] == ["compute 3.4 ms, queue 2.1 ms", "-"]
    assert _column(table, "trace id")[0] == level.slowest[0].trace_id


def test_errors_by_kind_with_their_latency() -> None:
    table = level_tables.failures(perf_documents.failing().levels[1])

    assert table.headings == ["error", "requests", "of all", "p50", "p99", "what one of them said"]
    assert table.rows[1] == ["TIMEOUT", "1,440", "1.85 %", "1 s", "1 s", "no answer in 1 s digits"]


def test_metrics_with_mean_and_maximum() -> None:
    level = (
        perf_documents.run().levels[0].model_copy(update={"metrics": {"nv_gpu_power_usage": (201.0, 250.5)}})
    )

    assert level_tables.metrics(level).rows == [["nv_gpu_power_usage", "201", "250"]]


def test_ratios_have_the_units_of_their_figures() -> None:
    table = tables.ratios(perf_documents.comparison())

    assert _column(table, "figure") == ["throughput", "p50", "p99", "p99.9"]
    assert _column(table, "A")[0].endswith("/s")
    assert _column(table, "A")[1].endswith(" ms")


def test_a_scalar_input_has_a_shape_too() -> None:
    run = perf_documents.run()
    scalar = run.workloads[0].inputs[0].model_copy(update={"shape": []})
    workload = run.workloads[0].model_copy(update={"inputs": [scalar, run.workloads[0].inputs[0]]})

    table = tables.inputs(run.model_copy(update={"workloads": [workload]}))

    assert _column(table, "shape") == ["scalar", "8 x 64"]
