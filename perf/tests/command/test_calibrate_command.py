"""`infermesh perf calibrate`: what this machine can send at most."""

import json

import pytest
from support.perf_command import Perf


def test_a_row_for_each_load_of_each_protocol(perf: Perf) -> None:
    outcome = perf("calibrate", "-z", "100ms", "--json", "--threads", "1", "--bytes", "64")

    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert (found["bytes"], found["threads"]) == (64, 1)
    assert found["machine"]
    assert len(found["rows"]) == 15
    assert {row["protocol"] for row in found["rows"]} == {"grpc", "grpc stream", "http"}
    for row in found["rows"]:
        assert row["answers_per_second"] > 0, row
        assert 0 <= row["latency_p50_ns"] <= row["latency_p99_ns"]
        assert row["client_cpu"] > 0
        # Only what is due at a moment can be late.
        assert (row["lateness_p99_ns"] is None) == row["load"].startswith("concurrency")


def test_a_table(perf: Perf) -> None:
    outcome = perf("calibrate", "-z", "50ms")

    assert outcome.code == 0
    assert len([line for line in outcome.out.splitlines() if "/s poisson" in line]) == 6
    assert "Requests of 300 bytes" in outcome.out


@pytest.mark.parametrize(
    "arguments",
    [("-z", "0"), ("-z", ""), ("-z", "x"), ("--bytes", "0"), ("--bytes", str(1 << 40)), ("--threads", "-1")],
)
def test_calibrations_that_make_no_sense(perf: Perf, arguments: tuple[str, str]) -> None:
    outcome = perf("calibrate", *arguments)

    assert outcome.code == 2
    assert arguments[0] in outcome.err
