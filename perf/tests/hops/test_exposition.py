from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.hops import exposition
from infermesh_perf.hops.exposition import Snapshot, endpoint, fetch, parse, shown
from support.fixed_http import answering

TEXT = """\
# HELP nv_gpu_utilization Share of the time
# TYPE nv_gpu_utilization gauge
nv_gpu_utilization{gpu_uuid="GPU-1"} 0.25
nv_gpu_utilization{gpu_uuid="GPU-2"} 0.75
# TYPE nv_inference_exec_count counter
nv_inference_exec_count{version="1",model="m"} 7
# TYPE took_seconds histogram
took_seconds_bucket{le="1"} 3
took_seconds_bucket{le="+Inf"} 4
took_seconds_sum 2.5
took_seconds_count 4
# TYPE other gauge
other{broken
untold_thing 5
nv_power NaN
"""


def test_only_what_was_chosen_is_read() -> None:
    names = ("nv_gpu_utilization", "nv_inference_exec_count", "took_seconds", "untold_thing", "nv_power")
    assert parse(TEXT, names) == Snapshot(
        gauges={
            ("nv_gpu_utilization", (("gpu_uuid", "GPU-1"),)): 0.25,
            ("nv_gpu_utilization", (("gpu_uuid", "GPU-2"),)): 0.75,
            # Whoever does not tell a type tells a value of the moment; no number is none.
            ("untold_thing", ()): 5,
        },
        counters={
            ("nv_inference_exec_count", (("model", "m"), ("version", "1"))): 7,
            ("took_seconds_sum", ()): 2.5,
            ("took_seconds_count", ()): 4,
        },
    )


@pytest.mark.parametrize("text", ["other{broken 1", "other", 'other{a="b"} many'])
def test_what_is_no_metric_is_refused(text: str) -> None:
    with pytest.raises(RunError, match="not in Prometheus' text format"):
        parse(text, ["other"])


def test_a_series_is_shown_as_prometheus_writes_it() -> None:
    assert shown(("up", ())) == "up"
    assert shown(("up", (("a", "1"), ("b", "2")))) == 'up{a="1",b="2"}'


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("localhost:8002", "http://localhost:8002/metrics"),
        ("localhost:8002/metrics", "http://localhost:8002/metrics"),
        ("https://far.example", "https://far.example/metrics"),
        ("http://[::1]:9901/stats/prometheus", "http://[::1]:9901/stats/prometheus"),
    ],
)
def test_an_endpoint_may_be_short(url: str, whole: str) -> None:
    assert endpoint(url) == whole


@pytest.mark.parametrize(
    "url", ["", "ftp://a/b", "http://", "localhost:many/metrics", "a:99999", "http://[::1"]
)
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(SetupError, match="--metrics-url: found"):
        endpoint(url)


@contextmanager
def _serving(status: int, body: bytes) -> Iterator[str]:
    with answering(lambda *_: (status, body)) as port:
        yield f"http://localhost:{port}/metrics"


def test_no_proxy_is_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with _serving(200, b"up 1\n") as url:
        assert fetch(url) == "up 1\n"
        assert fetch(url.replace("localhost", "127.0.0.1")) == "up 1\n"
    # The proxy is asked for other machines: nobody listens there.
    with pytest.raises(RunError, match=r"http://far\.example/metrics.*refused"):
        fetch("http://far.example/metrics")


def test_a_status_that_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with _serving(404, b"") as url, pytest.raises(RunError, match="404"):
        fetch(url)
    monkeypatch.setattr(exposition, "MAX_BYTES", 1 << 20)
    with _serving(200, b"x" * ((1 << 20) + 1)) as url, pytest.raises(RunError, match="larger than 1 MiB"):
        fetch(url)
