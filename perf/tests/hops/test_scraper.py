import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.hops.nv_metrics import server_times
from infermesh_perf.hops.prometheus import Scraper
from infermesh_perf.processes import free_ports
from support import onnx_models
from support.client import Client, floats, request
from support.repository import Repository
from support.server import LOOPBACK, serving

SECONDS = 10.0


class Metrics:
    """A server whose utilization is the number of its answers so far; every further one fails on demand."""

    def __init__(self) -> None:
        self.answers = 0
        self.broken = False
        self.news = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with outer.news:
                    outer.answers += 1
                    outer.news.notify_all()
                    body = f"# TYPE nv_gpu_utilization gauge\nnv_gpu_utilization {outer.answers}\n".encode()
                    self.send_response(503 if outer.broken else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"127.0.0.1:{self.server.server_port}"

    def wait_for(self, answers: int) -> None:
        """Returns when there were so many."""
        with self.news:
            assert self.news.wait_for(lambda: self.answers >= answers, SECONDS)


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics()
    with metrics.server:
        thread = threading.Thread(target=metrics.server.serve_forever, args=(0.02,))
        thread.start()
        yield metrics
        metrics.server.shutdown()
        thread.join()


def test_only_the_measured_time_counts(metrics: Metrics) -> None:
    with Scraper(metrics.url, interval_seconds=0.01) as scraper:
        # Without a measured time nothing is asked but the first time.
        assert metrics.answers == 1
        scraper.begin()
        metrics.wait_for(6)
        first = scraper.end()
        scraper.begin()
        second = scraper.end()
    assert first.failed == 0
    assert first.scrapes >= 5
    # The highest is the last one, and the mean of numbers that follow each other lies in the middle.
    mean, highest = first.gauges["nv_gpu_utilization"]
    assert (mean, highest) == ((2 + first.scrapes + 1) / 2, first.scrapes + 1)
    assert second.gauges["nv_gpu_utilization"][0] > highest
    (points,) = first.points.values()
    assert points == sorted(points)
    assert points[0][0] >= 0


def test_a_failure_later_is_counted(metrics: Metrics) -> None:
    with Scraper(metrics.url, interval_seconds=0.01) as scraper:
        scraper.begin()
        with metrics.news:
            metrics.broken = True
            seen = metrics.answers
        metrics.wait_for(seen + 1)
        metrics.broken = False
        found = scraper.end()
    assert found.failed >= 1
    assert found.scrapes >= 2
    assert "503" in found.remarks[0]


def test_a_server_that_is_not_there_ends_the_start() -> None:
    (port,) = free_ports(1)
    with pytest.raises(RunError, match="metrics cannot be read from"), Scraper(f"127.0.0.1:{port}"):
        pass


def test_an_endpoint_without_a_known_metric_ends_the_start(metrics: Metrics) -> None:
    with pytest.raises(RunError, match="has none of the metrics"), Scraper(metrics.url, names=["absent"]):
        pass


@pytest.mark.parametrize("interval", [0.0, -1.0, 0.001, float("nan")])
def test_an_interval_that_is_none(interval: float) -> None:
    with pytest.raises(SetupError, match="--metrics-interval"):
        Scraper("localhost:8002", interval)


def test_end_needs_a_beginning(metrics: Metrics) -> None:
    with Scraper(metrics.url) as scraper, pytest.raises(ValueError, match="did not begin"):
        scraper.end()


def test_what_a_real_server_tells(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    repository.onnx("scale", onnx_models.scale(3.0))
    listen = (*LOOPBACK, "--metrics-address", "127.0.0.1", "--metrics-port", "0")
    with (
        serving(repository.root, *listen) as server,
        Client(server.target) as client,
        Scraper(f"127.0.0.1:{server.metrics_port}") as scraper,
    ):
        client.infer(request("scale", x=floats(1, 4)))
        scraper.begin()
        for _ in range(5):
            client.infer(request("scale", x=floats(1, 4)))
        found = scraper.end()
    times = server_times(found, [("scale", "")])
    assert times is not None
    assert times.requests == 5
    # Each sum is in whole microseconds.
    assert 0 < times.stages_ns <= times.total_ns + 5_000
    assert found.grown["nv_inference_exec_count", (("model", "scale"), ("version", "1"))] == 5
    assert "nv_inference_pending_request_count" in found.gauges
    assert found.remarks == []
