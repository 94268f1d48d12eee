"""`infermesh perf search` on a real server, with little patience."""

import pytest
from infermesh_perf.command.search import By, SearchOptions, bounds
from infermesh_perf.errors import SetupError
from support.perf_command import Measure, Perf

QUICK = ("-z", "200ms", "--warm-up", "0", "--no-calibration")


def test_the_highest_rate_of_a_range(measure: Measure, grpc: str) -> None:
    found = measure(
        *("search", "-m", "fixed", "-u", grpc, "--slo", "p90<10s,errors<10%", "--range", "2000:4000"),
        *("--precision", "60", *QUICK),
    )

    assert found.kind == "search"
    assert found.objective == "p90<10s,errors<10%"
    assert found.levels
    assert all(2000 <= level.load.value <= 4000 for level in found.levels)
    assert [level.load.value for level in found.levels] == sorted(level.load.value for level in found.levels)
    if found.valid:
        assert found.certificate is not None
        assert found.certificate.rate == pytest.approx(4000)
        assert found.certificate.confidence == 0.99


def test_by_concurrency(measure: Measure, grpc: str) -> None:
    found = measure(
        *("search", "-m", "fixed", "-u", grpc, "--slo", "mean<10s", "--range", "1:4", "--by", "concurrency"),
        *("--precision", "50", "--confidence", "90", *QUICK),
    )

    assert {level.load.mode for level in found.levels} == {"concurrency"}
    assert found.levels[-1].load.value <= 4


def test_an_objective_that_nothing_meets(perf: Perf, grpc: str) -> None:
    outcome = perf(
        *("search", "-m", "fixed", "-u", grpc, "--slo", "mean<2ns", "--range", "1:2", "--by", "concurrency"),
        *QUICK,
    )

    # The client's share of a busy machine can make a level invalid.
    assert outcome.code in (4, 3)
    assert "Note: " in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--slo", "throughput>5/s"), "lower limit"),
        (("--slo", "nonsense"), "objective 'nonsense'"),
        (("--slo", "p99<1s", "--range", "5"), "--range"),
        (("--slo", "p99<1s", "--range", "9:5"), "--range: found '9:5'"),
        (("--slo", "p99<1s", "--range", "0:5"), "--range"),
        (("--slo", "p99<1s", "--range", "1:nan"), "--range"),
        (("--slo", "p99<1s", "--range", "1:1e12"), "--range"),
        (("--slo", "p99<1s", "--range", "1:1e9", "--by", "concurrency"), "--range"),
        (("--slo", "p99<1s", "--range", "0.5:8", "--by", "concurrency"), "--range"),
        (("--slo", "p99<1s", "--precision", "0"), "--precision"),
        (("--slo", "p99<1s", "--precision", "nan"), "--precision"),
        (("--slo", "p99<1s", "--confidence", "100"), "--confidence"),
        (("--slo", "p99<1s", "--confidence", "nan"), "--confidence"),
        (("--slo", "p99<1s", "-n", "5"), "No such option"),
        ((), "--slo"),
    ],
)
def test_searches_that_make_no_sense(perf: Perf, grpc: str, arguments: tuple[str, ...], said: str) -> None:
    outcome = perf("search", "-m", "fixed", "-u", grpc, *QUICK, *arguments)

    assert outcome.code == 2, outcome
    assert said in outcome.err


def test_where_a_search_begins_and_ends() -> None:
    by_rate, by_concurrency = SearchOptions("p99<1s"), SearchOptions("p99<1s", By.CONCURRENCY)

    assert bounds(by_rate, None) == (100, 1_000_000)
    # Beyond what the client can send, the verdict would be about the client.
    assert bounds(by_rate, 10_000) == (100, 7_500)
    assert bounds(by_rate, 10) == (100, 200)
    assert bounds(by_concurrency, 10_000) == (1, 4096)
    assert bounds(SearchOptions("p99<1s", range="5:7"), 10) == (5, 7)
    with pytest.raises(SetupError):
        bounds(SearchOptions("p99<1s", range=":7"), None)
