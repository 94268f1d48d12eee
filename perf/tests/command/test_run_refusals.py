"""What cannot be measured: one sentence, the right exit code, and no traceback."""

import time
from pathlib import Path

import pytest
from infermesh_perf.processes import free_ports
from support.perf_command import QUICK, Perf
from support.server import Server


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-m", "absent"), "has no model 'absent': it has add, biased"),
        (("-m", "fixed:9"), "9"),
        (("-m", "wide"), "--shape"),
        (("-m", "wide", "--shape", "q:3"), "'q'"),
        (("-m", "fixed", "--shape", "x:3,3"), "--shape"),
        (("-m", "fixed", "-b", "4"), "does not batch"),
        (("-m", "add", "-b", "9"), "-b 9"),
        (("-m", "fixed", "--input-data", "absent.npz"), "absent.npz"),
        (("-m", "fixed", "--validate", "absent.npz"), "--validate cannot know the answers"),
        (("-m", "fixed", "--request-output", "q"), "output 'q'"),
        (("-m", "fixed", "--json-tensors"), "HTTP"),
        (("-m", "fixed", "--output-shared-memory-size", "64"), "without effect"),
        (("-m", "fixed", "--otlp-port", "0"), "--trace-share"),
        (("-m", "fixed", "--worker-cacert", "absent.pem"), "a certificate"),
        (("-m", "fixed", "-H", "no header"), "-H"),
        (("-m", "fixed", "--metadata", "{"), "--metadata: found no JSON"),
        (("-m", "fixed", "--tags", "[]"), "--tags"),
        (("-m", "fixed", "-z", "soon"), "-z: found 'soon'"),
        (("-m", "fixed=0"), "weight of 0"),
        ((), "Missing option '-m'"),
    ],
)
def test_options_that_do_not_fit(perf: Perf, grpc: str, arguments: tuple[str, ...], said: str) -> None:
    outcome = perf("run", "-u", grpc, *QUICK, *arguments)

    assert outcome.code == 2, outcome
    assert said in outcome.err
    assert outcome.out == ""


def test_a_version_that_the_server_refuses(perf: Perf, grpc: str) -> None:
    outcome = perf("run", "-u", grpc, "-m", "fixed", "-x", "nine", *QUICK)

    assert outcome.code == 1
    assert "version string 'nine'" in outcome.err


LARGE = 99_999_999_999
HUGE = 99_999_999_999_999_999_999_999


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("-c", (0, -1, 5_000_000, LARGE, "x")),
        ("--rps", (0, -1, "nan", "inf", 1e300, 1e-300)),
        ("--connections", (-1, LARGE)),
        ("--threads", (-1, 5000, LARGE)),
        ("--random-seed", (-1, HUGE)),
        ("--timeout", (-1, "nan", "inf", 1e30)),
        ("--max-outstanding", (0, -1, LARGE)),
        ("-n", (-1, HUGE)),
        ("--warmup-request-count", (-1, HUGE)),
        ("--warm-up", (-1, "nan", "inf")),
        ("-p", (0, 49, "nan", "inf")),
        ("-s", (0, -1, "nan")),
        ("-r", (2, -1, LARGE)),
        ("--percentile", (0, -1, 101, "nan")),
        ("--abort-after-late", (0, -1, "nan")),
        ("-l", (0, -1, "nan")),
        ("-b", (0, -1, HUGE)),
        ("--payloads", (0, -1)),
        ("--string-length", (-1,)),
        ("--tolerance", (-1, "nan")),
        ("--sequence-length", (0, -1, LARGE)),
        ("--sequence-length-variation", (-1, 101, "nan")),
        ("--num-of-sequences", (0, -1, LARGE)),
        ("--sequence-id-range", (0, HUGE)),
        ("--trace-share", (-1, 1.5, "nan")),
        ("--otlp-port", (-1, 65_536, HUGE)),
        ("--rounds", (0, -1, LARGE)),
        ("--output-shared-memory-size", (-1, HUGE)),
    ],
)
def test_numbers_have_bounds(perf: Perf, grpc: str, option: str, values: tuple[object, ...]) -> None:
    for value in values:
        more = () if option in ("-c", "--rps") else ("--concurrency-range", "1,2")
        # In one word: a negative number looks like an option.
        given = f"{option}={value}" if option.startswith("--") else f"{option}{value}"
        outcome = perf("run", "-u", grpc, "-m", "tally", *QUICK, *more, given)
        assert outcome.code == 2, (value, outcome)
        assert option.lstrip("-").split("-")[0] in outcome.err, (value, outcome)


def test_metrics_are_read_no_faster_than_a_server_bears(perf: Perf, grpc: str) -> None:
    outcome = perf(
        "run",
        "-u",
        grpc,
        "-m",
        "add",
        *QUICK,
        "--metrics-url",
        "http://127.0.0.1:1/metrics",
        "--metrics-interval=5",
    )

    assert outcome.code == 2
    assert "--metrics-interval: found 5" in outcome.err


def test_nobody_listens(perf: Perf) -> None:
    (port,) = free_ports(1)
    began = time.monotonic()

    for url in (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"):
        outcome = perf("run", "-m", "fixed", "-u", url, *QUICK)
        assert outcome.code == 1
        assert "Connection refused" in outcome.err
        assert "is the server running" in outcome.err

    assert time.monotonic() - began < 10


def test_the_wrong_protocol(perf: Perf, server: Server) -> None:
    as_grpc = perf("run", "-m", "fixed", "-u", f"127.0.0.1:{server.http_port}", *QUICK)
    as_http = perf("run", "-m", "fixed", "-u", f"http://127.0.0.1:{server.port}", *QUICK)

    assert (as_grpc.code, as_http.code) == (1, 1)
    assert "is this its port for gRPC?" in as_grpc.err
    assert "is this its port for HTTP?" in as_http.err


@pytest.mark.parametrize("option", ["-o", "-f", "--report", "--profile-export-file"])
def test_a_file_that_cannot_be_written_is_found_before(perf: Perf, tmp_path: Path, option: str) -> None:
    (port,) = free_ports(1)
    nowhere = perf("run", "-m", "fixed", "-u", f"127.0.0.1:{port}", option, tmp_path / "absent" / "file")
    folder = perf("run", "-m", "fixed", "-u", f"127.0.0.1:{port}", option, tmp_path)

    # Nothing was even connected to.
    assert (nowhere.code, folder.code) == (2, 2)
    assert f"{option} {tmp_path / 'absent' / 'file'}: there is no folder" in nowhere.err
    assert f"{option} {tmp_path}: found a folder, expected a file" in folder.err


def test_an_unknown_format(perf: Perf, grpc: str) -> None:
    assert perf("run", "-m", "fixed", "-u", grpc, *QUICK, "-O", "xml").code == 2
