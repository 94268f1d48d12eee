"""/metrics: Prometheus' text format, Triton's names, histograms."""

import threading
import time

import grpc
from prometheus_client.parser import text_string_to_metric_families
from support import onnx_models
from support.client import Client, floats, ints, refused, request
from support.gate import Gate
from support.python_models import GATED, MOODY
from support.repository import Repository
from support.rest import HTTP, Rest
from support.server import Serve

DURATIONS = ("request", "queue", "compute")

#: Name and labels to value.
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(port: int) -> Samples:
    """What Prometheus would keep."""
    with Rest(port) as rest:
        answer = rest.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: Samples = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        assert family.type in ("counter", "gauge", "histogram"), family
        assert family.documentation
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def value(found: Samples, name: str, model: str | None = None, **labels: str) -> float:
    """One sample of a model's only version, or of the server."""
    of_model = {} if model is None else {"model": model, "version": "1"}
    return found[name, frozenset({**of_model, **labels}.items())]


def buckets(found: Samples, name: str, model: str) -> list[tuple[float, float]]:
    """Bounds and counts of a histogram, in order."""
    return sorted(
        (float(dict(labels)["le"]), count)
        for (sample, labels), count in found.items()
        if sample == f"{name}_bucket" and ("model", model) in labels
    )


def test_what_models_did(serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    repository.python("moody", MOODY)
    server = serve(*HTTP)
    server.wait_ready()
    before = scrape(server.metrics_port)
    assert {value for (name, _), value in before.items() if name.startswith("nv_inference")} == {0}
    assert value(before, "nv_model_load_duration_secs", "scale") > 0
    with Client(server.target) as client:
        for _ in range(2):
            client.infer(request("scale", x=floats(3, 4)))
        assert client.start(request("moody", x=ints([1]))).exception() is not None
    found = scrape(server.metrics_port)
    assert value(found, "nv_inference_request_success_total", "scale") == 2
    assert value(found, "nv_inference_count_total", "scale") == 6
    assert value(found, "nv_inference_exec_count_total", "scale") == 2
    assert value(found, "nv_inference_request_duration_us_total", "scale") > 0
    assert value(found, "nv_inference_compute_infer_duration_us_total", "scale") > 0
    for phase in ("queue", "compute_input", "compute_output"):
        assert value(found, f"nv_inference_{phase}_duration_us_total", "scale") >= 0


def test_histograms_add_up(serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    repository.onnx("idle", onnx_models.scale(3.0))
    server = serve(*HTTP)
    server.wait_ready()
    sizes = (1, 2, 3, 5)
    with Client(server.target) as client:
        for size in sizes:
            client.infer(request("scale", x=floats(size, 4)))
    found = scrape(server.metrics_port)
    for what in DURATIONS:
        name = f"infermesh_{what}_duration_seconds"
        bounds = buckets(found, name, "scale")
        counts = [count for _, count in bounds]
        assert counts == sorted(counts)
        assert bounds[-1][0] == float("inf")
        assert counts[-1] == len(sizes)
        assert value(found, f"{name}_count", "scale") == len(sizes)
    seconds = value(found, "infermesh_request_duration_seconds_sum", "scale")
    microseconds = value(found, "nv_inference_request_duration_us_total", "scale")
    assert abs(seconds * 1e6 - microseconds) <= 1
    assert seconds >= value(found, "infermesh_compute_duration_seconds_sum", "scale") > 0
    rows = dict(buckets(found, "infermesh_batch_rows", "scale"))
    assert (rows[1], rows[2], rows[4], rows[8]) == (1, 2, 3, 4)
    assert value(found, "infermesh_batch_rows_sum", "scale") == sum(sizes)
    assert dict(buckets(found, "infermesh_batch_requests", "scale"))[1] == len(sizes)
    assert buckets(found, "infermesh_batch_rows", "idle") == []


def test_why_requests_failed(serve: Serve, repository: Repository, gate: Gate) -> None:
    policy = "dynamic_batching { default_queue_policy { max_queue_size: 1 } }"
    repository.python("gated", GATED, config=gate.config + policy)
    repository.python("moody", MOODY)
    server = serve(*HTTP)
    server.wait_ready()
    with Client(server.target) as client:
        with refused(grpc.StatusCode.INTERNAL):
            client.infer(request("moody", x=ints([1])))
        running = client.start(request("gated", x=ints([0])))
        gate.next_batch()
        waiting = client.start(request("gated", x=ints([1])))
        client.fence()
        with refused(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size"):
            client.infer(request("gated", x=ints([2])))
        waiting.cancel()
        client.fence()
        gate.open()
        running.result()
    found = scrape(server.metrics_port)

    def failures(model: str) -> dict[str, float]:
        reasons = ("REJECTED", "CANCELED", "BACKEND", "OTHER")
        name = "nv_inference_request_failure_total"
        return {reason: value(found, name, model, reason=reason) for reason in reasons}

    assert failures("moody") == {"REJECTED": 0, "CANCELED": 0, "BACKEND": 1, "OTHER": 0}
    assert failures("gated") == {"REJECTED": 1, "CANCELED": 1, "BACKEND": 0, "OTHER": 0}
    assert value(found, "nv_inference_request_success_total", "gated") == 1


def test_what_waits(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("gated", GATED, config=gate.config)
    server = serve(*HTTP)
    server.wait_ready()
    with Client(server.target) as client:
        calls = [client.start(request("gated", x=ints([0])))]
        gate.next_batch()
        calls += [client.start(request("gated", x=ints([value]))) for value in (1, 2)]
        client.fence()
        assert value(scrape(server.metrics_port), "nv_inference_pending_request_count", "gated") == 2
        gate.open()
        for call in calls:
            call.result()
        assert value(scrape(server.metrics_port), "nv_inference_pending_request_count", "gated") == 0


def test_process_and_machine(serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    before = time.time()
    server = serve(*HTTP)
    server.wait_ready()
    with Client(server.target):
        found = scrape(server.metrics_port)
    # The client's, and the one that asks.
    assert value(found, "infermesh_connections") == 2
    assert value(found, "infermesh_log_records_dropped_total") == 0
    # ONNX Runtime alone takes more than that.
    assert value(found, "process_resident_memory_bytes") > 20 << 20
    assert value(found, "process_cpu_seconds_total") > 0
    assert value(found, "process_open_fds") >= 3
    # The kernel rounds.
    assert before - 2 <= value(found, "process_start_time_seconds") <= time.time() + 2
    assert 0 <= value(found, "nv_cpu_utilization") <= 1
    memory = value(found, "nv_cpu_memory_total_bytes")
    assert 0 < value(found, "nv_cpu_memory_used_bytes") < memory


def test_many_may_ask_at_once(serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = serve(*HTTP)
    server.wait_ready()
    answers: list[Samples] = []
    threads = [threading.Thread(target=lambda: answers.append(scrape(server.metrics_port))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8


def test_only_metrics_live_there(serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = serve(*HTTP)
    server.wait_ready()
    with Rest(server.metrics_port) as rest:
        assert rest.call("HEAD", "/metrics").body == b""
        assert rest.get("/").status == 404
        assert rest.get("/v2/health/live").status == 404
        answer = rest.post("/metrics")
        assert (answer.status, answer.headers["allow"]) == (405, "GET")
