import pytest
from infermesh_perf.bench.h2load import parse
from infermesh_perf.errors import RunError

GOOD = """\
starting benchmark...
spawning thread #0: 1 total client(s). Timing-based test with 1s of warm-up time and 2s of main duration.
Application protocol: h2c

finished in 3.00s, 18340.50 req/s, 3.31MB/s
requests: 36681 total, 36697 started, 36681 done, 36681 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 36697 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 6.62MB (6942233) total, 1.33MB (1394486) headers (space savings 68.33%), 4.41MB (4621806) data
                     min         max         mean         sd        +/- sd
time for request:      187us      7.32ms       865us       402us    83.95%
time for connect:       74us        74us        74us         0us   100.00%
time to 1st byte:     1.03ms      1.03ms      1.03ms         0us   100.00%
req/s           :   18340.40    18340.40    18340.40        0.00   100.00%
"""

REFUSED_CONNECTION = """\
finished in 849us, 0.00 req/s, 0B/s
requests: 10 total, 0 started, 0 done, 0 succeeded, 10 failed, 10 errored, 0 timeout
status codes: 0 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 0B (0) total, 0B (0) headers (space savings 0.00%), 0B (0) data
                     min         max         mean         sd        +/- sd
time for request:        0us         0us         0us         0us     0.00%
"""


def test_reads_rate_counts_times_and_bytes() -> None:
    sample = parse(GOOD)

    assert sample.requests_per_second == 18340.5
    assert (sample.succeeded, sample.failed) == (36681, 0)
    assert sample.fastest == pytest.approx(187e-6)
    assert sample.slowest == pytest.approx(7.32e-3)
    assert sample.mean == pytest.approx(865e-6)
    assert sample.data_bytes == 4621806


@pytest.mark.parametrize(("text", "seconds"), [("2.18s", 2.18), ("1.50m", 90.0), ("42.96ms", 0.04296)])
def test_reads_every_unit_of_time(text: str, seconds: float) -> None:
    assert parse(GOOD.replace("865us", text)).mean == pytest.approx(seconds)


def test_counts_failures() -> None:
    sample = parse(REFUSED_CONNECTION)

    assert (sample.succeeded, sample.failed) == (0, 10)


def test_sees_calls_that_were_refused_in_their_trailers() -> None:
    sample = parse(GOOD)

    # 121 bytes of answer and 5 of prefix are what 36681 answers left in the sample.
    assert not sample.refused(121)
    assert sample.refused(122)


@pytest.mark.parametrize("output", ["", "starting benchmark...\nCould not connect\n", GOOD[:200]])
def test_output_without_a_summary_is_an_error(output: str) -> None:
    with pytest.raises(RunError, match="no summary"):
        parse(output)


def test_an_unknown_unit_is_an_error() -> None:
    with pytest.raises(RunError, match="where a time belongs"):
        parse(GOOD.replace("865us", "865fortnights"))
