"""What is seen while a run goes on."""

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.command.live import View
from infermesh_perf.load.measure import Progress
from infermesh_perf.results.document import Check, Load
from support.perf_command import Perf
from support.perf_levels import level
from support.scripted_engine import MS, told

LOAD = Load(mode="concurrency", value=2)


def progress(phase: str = "measuring", window: int = 1, **more: object) -> Progress:
    slice_ = load_pb2.LoadSlice(workloads=[told(100, 5 * MS, failed=3)], end_ns=250 * MS, outstanding=7)
    return Progress(phase, 3.0, 0.5, slice_, window, **more)  # type: ignore[arg-type]


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with View("m", quiet=False, total=4) as view:
        watch = view.watch(1, LOAD, "(B)")
        watch(progress("warm-up", 0))
        watch(progress())
        watch(progress())
        watch(progress(window=2))
        view.done(level(LOAD, checks=[Check(name="x", passed=False, found="", limit="")], failing=0.5))

    said = " ".join(capsys.readouterr().err.split())
    # One line for each window.
    assert said.count("window 1") == said.count("window 2") == 1
    assert "[2/4] concurrency 2 (B): window 1, 400/s, p50 5 ms, p90 5 ms, p99 5 ms, 7 under way" in said
    assert "UNAVAILABLE" in said
    assert said.endswith("errors, INVALID")


def test_figures_are_of_the_last_second(capsys: pytest.CaptureFixture[str]) -> None:
    with View("m", quiet=False) as view:
        watch = view.watch(0, LOAD)
        for _ in range(9):
            watch(progress("warm-up", 0))
        watch(progress())

    # Three failures in each of the last four slices.
    assert "12 UNAVAILABLE" in " ".join(capsys.readouterr().err.split())


def test_nothing_where_nothing_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with View("m", quiet=True) as view:
        view.watch(0, LOAD)(progress())
        view.done(level(LOAD))

    assert capsys.readouterr().err == ""


def test_a_view_that_renews_itself_on_a_terminal(
    perf: Perf, grpc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")

    outcome = perf(
        *("run", "-m", "fixed", "-u", grpc, "--concurrency-range", "1,2", "-z", "600ms", "--warm-up", "0"),
        "--no-calibration",
    )

    assert outcome.code in (0, 3)
    assert "measuring 0 s" in outcome.err
    assert "[2/2] concurrency 2" in outcome.err
    assert "under way" in outcome.err
    # The levels before stay on the screen.
    assert "  concurrency 1: " in outcome.err
    assert "window 1" not in outcome.err
