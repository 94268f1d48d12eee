"""`infermesh perf scenario`: the four of MLPerf, for a moment each."""

import pytest
from support.perf_command import Measure, Perf

QUICK = ("--min-duration", "300ms", "--warm-up", "0", "--no-calibration")


@pytest.mark.parametrize(
    ("name", "more", "load", "batch", "unit"),
    [
        ("SingleStream", (), ("concurrency", 1), 1, "s"),
        ("MultiStream", (), ("concurrency", 1), 8, "s"),
        ("Server", ("--rps", "200", "--target-latency", "5000"), ("rate", 200), 1, "queries/s"),
        ("Offline", ("--max-outstanding", "32"), ("concurrency", 32), 1, "samples/s"),
    ],
)
def test_every_scenario(
    measure: Measure,
    grpc: str,
    name: str,
    more: tuple[str, ...],
    load: tuple[str, float],
    batch: int,
    unit: str,
) -> None:
    found = measure("scenario", name, "-m", "add", "-u", grpc, *QUICK, "--min-query-count", "60", *more)

    (level,) = found.levels
    assert found.kind == "scenario"
    assert (level.load.mode, level.load.value) == load
    assert found.workloads[0].batch == batch
    assert found.scenario.startswith(f"{name} ")
    assert unit in found.scenario
    assert level.completed >= 60
    assert level.seconds >= 0.29


def test_enough_of_everything_is_valid(measure: Measure, grpc: str) -> None:
    found = measure("scenario", "singlestream", "-m", "fixed", "-u", grpc, *QUICK)

    assert "SingleStream VALID" in found.scenario
    assert "SingleStream" not in [check.name for check in found.levels[0].checks]


def test_what_is_missing_is_said(measure: Measure, grpc: str) -> None:
    found = measure(
        *("scenario", "Server", "-m", "fixed", "-u", grpc, *QUICK, "--rps", "50"),
        # A request of a microsecond there is none.
        *("--target-latency", "0.001", "--min-query-count", "5"),
        codes=(3,),
    )

    assert "Server INVALID" in found.scenario
    (check,) = [check for check in found.levels[0].checks if check.name == "Server"]
    assert not check.passed
    assert "is not met" in check.found
    assert check.advice == "Reduce the rate."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Nothing",), "Nothing"),
        (("Server",), "Server needs a rate"),
        (("Server", "--rps", "0"), "--rps"),
        (("Server", "--rps", "nan"), "--rps"),
        (("Server", "--rps", "5", "--target-latency", "0"), "--target-latency"),
        (("Server", "--rps", "5", "--target-latency", "inf"), "--target-latency"),
        (("Offline", "--rps", "5"), "are for Server, found Offline"),
        (("Offline", "--target-latency", "5"), "are for Server"),
        (("Offline", "--min-duration", "0"), "--min-duration"),
        (("Offline", "--min-query-count", "0"), "--min-query-count"),
        (("Offline", "-z", "5s"), "No such option"),
    ],
)
def test_scenarios_that_make_no_sense(perf: Perf, grpc: str, arguments: tuple[str, ...], said: str) -> None:
    outcome = perf("scenario", "-m", "fixed", "-u", grpc, "--no-calibration", *arguments)

    assert outcome.code == 2, outcome
    assert said in outcome.err
