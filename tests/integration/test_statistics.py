"""ModelStatistics, which perf_analyzer reads around its measurements."""

import time

import grpc
import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2 as pb
from support.client import SECONDS, Client, floats, refused, request
from support.server import Server


def test_a_request_is_counted_with_its_rows_and_times(client: Client) -> None:
    before = client.statistics("slow")
    started = time.time()
    client.infer(request("slow", x=floats(3, 1024)))
    after = client.statistics("slow")
    assert after.inference_count - before.inference_count == 3
    assert after.execution_count - before.execution_count == 1
    for part in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        old, new = getattr(before.inference_stats, part), getattr(after.inference_stats, part)
        assert new.count - old.count == 1, part
        assert new.ns >= old.ns, part
    assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns
    assert after.inference_stats.success.ns >= after.inference_stats.compute_infer.ns
    assert abs(after.last_inference / 1000 - started) < SECONDS


def test_versions_parse_as_integers(zoo: Server) -> None:
    with triton.InferenceServerClient(zoo.target) as client:
        (found,) = client.get_inference_statistics("add", "", client_timeout=20).model_stats
    assert int(found.version) == 1


def test_without_a_name_all_models_are_told(client: Client) -> None:
    found = client.inference.ModelStatistics(pb.ModelStatisticsRequest(), timeout=SECONDS).model_stats
    assert len(found) == 18


def test_a_refused_request_is_no_inference(client: Client) -> None:
    before = client.statistics("add").inference_count
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        client.infer(request("add", a=floats(1, 16)))
    assert client.statistics("add").inference_count == before
