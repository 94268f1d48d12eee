"""How much `infermesh perf run` sends, for how long, and what it says of it with its exit code."""

from pathlib import Path

import pytest
from infermesh_perf.results.document import Run
from support.perf_command import QUICK, Measure, Perf


def loads(found: Run) -> list[tuple[str, float, str]]:
    return [(level.load.mode, level.load.value, level.load.distribution) for level in found.levels]


def test_a_number_of_requests(measure: Measure, grpc: str) -> None:
    found = measure("run", "-m", "fixed", "-u", grpc, "-n", "321", "-c", "4", "--no-calibration")

    (level,) = found.levels
    assert level.completed == level.latency.count == 321
    assert level.stable is None


def test_a_time(measure: Measure, grpc: str) -> None:
    found = measure(
        "run", "-m", "fixed", "-u", grpc, "-z", "400ms", "-p", "100", "--warm-up", "0", "--no-calibration"
    )

    (level,) = found.levels
    assert 0.39 < level.seconds < 1
    assert 2 <= len(level.windows) <= 4
    assert level.throughput == pytest.approx(level.completed / level.seconds, rel=0.2)


def test_windows_until_they_agree_or_are_too_many(measure: Measure, grpc: str) -> None:
    found = measure(
        *("run", "-m", "fixed", "-u", grpc, "-p", "60", "-s", "1000", "-r", "4", "--warm-up", "0"),
        "--no-calibration",
    )

    (level,) = found.levels
    assert level.stable
    assert len(level.windows) == 3


def test_several_levels(measure: Measure, grpc: str) -> None:
    found = measure("run", "-m", "fixed", "-u", grpc, "--concurrency-range", "1:5:2", *QUICK)

    assert loads(found) == [("concurrency", value, "") for value in (1, 3, 5)]


@pytest.mark.parametrize("distribution", ["poisson", "constant"])
def test_rates(measure: Measure, grpc: str, distribution: str) -> None:
    found = measure(
        *("run", "-m", "fixed", "-u", grpc, "--request-rate-range", "200,400"),
        *("--request-distribution", distribution, "-z", "300ms", "--warm-up", "0", "--no-calibration"),
    )

    assert loads(found) == [("rate", 200, distribution), ("rate", 400, distribution)]
    for level in found.levels:
        due = level.load.value * level.seconds
        # What becomes due between the last slice and the end of sending belongs to it, too.
        wide = 5 * due**0.5 if distribution == "poisson" else 0.1 * due
        assert level.completed + level.unsent == pytest.approx(due, abs=wide)
        assert level.failed == 0
        # All that was due was looked at, and what the client was late for is told.
        assert level.lag.count == level.completed
        assert "rate achieved" in [check.name for check in level.checks]


def test_one_rate_as_ghz_takes_it(measure: Measure, grpc: str) -> None:
    assert loads(measure("run", "-m", "fixed", "-u", grpc, "--rps", "150.5", *QUICK)) == [
        ("rate", 150.5, "poisson")
    ]


def test_recorded_intervals(measure: Measure, grpc: str, tmp_path: Path) -> None:
    (tmp_path / "gaps").write_text("1000\n4000\n")

    found = measure(
        *("run", "-m", "fixed", "-u", grpc, "--request-intervals", tmp_path / "gaps", "-z", "500ms"),
        *("--warm-up", "0", "--no-calibration"),
    )

    assert loads(found) == [("intervals", 400, "replay")]
    assert found.levels[0].completed == pytest.approx(400 * found.levels[0].seconds, rel=0.1)


def test_rounds(measure: Measure, grpc: str) -> None:
    found = measure("run", "-m", "fixed", "-u", grpc, "--concurrency-range", "1,2", "--rounds", "3", *QUICK)

    assert [load[1] for load in loads(found)] == [1, 2] * 3


def test_no_level_beyond_a_latency(measure: Measure, grpc: str) -> None:
    ask = ("run", "-m", "fixed", "-u", grpc, "--concurrency-range", "1,2,4", *QUICK)

    assert len(measure(*ask, "-l", "0.001").levels) == 1
    assert len(measure(*ask, "-l", "10000").levels) == 3
    assert len(measure(*ask, "-l", "10000", "--percentile", "99").levels) == 3


def test_a_range_that_is_halved(measure: Measure, grpc: str) -> None:
    ask = ("run", "-m", "fixed", "-u", grpc, "--concurrency-range", "1:16", "--binary-search", *QUICK)

    highest = measure(*ask, "-l", "10000")
    lowest = measure(*ask, "-l", "0.001", codes=(0, 3, 4))

    assert highest.levels[-1].load.value == 16
    assert [level.load.value for level in lowest.levels] == [1]


@pytest.mark.parametrize(
    ("objective", "code", "met"), [("mean<10s,errors<1%", 0, True), ("mean<2ns", 4, False)]
)
def test_an_objective(measure: Measure, grpc: str, objective: str, code: int, met: bool) -> None:
    found = measure(
        "run", "-m", "fixed", "-u", grpc, "-n", "300", "--warm-up", "0", "--slo", objective, codes=(code, 3)
    )

    assert found.objective == objective
    assert found.levels[0].objective_met is met


def test_too_few_requests_for_a_percentile(measure: Measure, grpc: str) -> None:
    found = measure(
        *("run", "-m", "fixed", "-u", grpc, "-n", "100", "--warm-up", "0", "--no-calibration"),
        *("--slo", "p99<10s"),
        codes=(3,),
    )

    assert [check.name for check in found.levels[0].checks if not check.passed] == ["requests for p99"]


def test_a_server_that_cannot_keep_up_is_a_result(measure: Measure, grpc: str) -> None:
    # Two requests of a stream that answers thousands of times cannot be under way so often.
    found = measure(
        *("run", "-m", "each", "-u", grpc, "--shape", "x:100", "--input-data", "zero", "--rps", "3000"),
        *("--max-outstanding", "2", "-z", "500ms", "--warm-up", "0", "--no-calibration"),
    )

    (level,) = found.levels
    assert level.unsent > 0
    (check,) = [check for check in level.checks if check.name == "rate achieved"]
    assert check.passed
    assert "saturated" in check.found
    # What waited is in the latency, and not in the service time.
    assert level.latency.percentiles_ns["99"] > 2 * level.service.percentiles_ns["50"]


def test_requests_that_are_too_slow_time_out(measure: Measure, grpc: str) -> None:
    found = measure(
        *("run", "-m", "each", "-u", grpc, "--shape", "x:5000", "--input-data", "zero", "-c", "8"),
        *("--timeout", "0.005", *QUICK),
        codes=(0, 3),
    )

    assert "TIMEOUT" in [failure.kind for failure in found.levels[0].failures]


def test_a_run_that_is_ended_once_requests_wait(measure: Measure, grpc: str) -> None:
    found = measure(
        *("run", "-m", "each", "-u", grpc, "--shape", "x:400", "--input-data", "zero", "--rps", "3000"),
        *("--max-outstanding", "2", "--abort-after-late", "50", "-z", "20s", "--warm-up", "0"),
        "--no-calibration",
        codes=(3,),
    )

    assert "waited" in found.cut_short
    assert found.seconds < 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-c", "1", "--rps", "5"), "-c and --rps are two kinds of load, expected one"),
        (("--concurrency-range", "1:2", "-c", "1"), "--concurrency-range and -c are two kinds"),
        (("--rps", "5", "--request-rate-range", "1:2"), "--request-rate-range and --rps are two"),
        (("--binary-search",), "--binary-search needs a range of loads and -l"),
        (("--binary-search", "-c", "4", "-l", "5"), "--binary-search needs a range"),
        (("--slo", "p99"), "objective 'p99'"),
        (("--slo", ""), None),
        (("--slo", " "), "the objective is empty"),
        (("--request-intervals", "absent"), "cannot be read"),
    ],
)
def test_loads_that_make_no_sense(
    perf: Perf, grpc: str, arguments: tuple[str, ...], said: str | None
) -> None:
    outcome = perf("run", "-m", "fixed", "-u", grpc, *QUICK, *arguments)

    assert outcome.code in ((0, 3) if said is None else (2,))
    assert (said or "") in outcome.err
