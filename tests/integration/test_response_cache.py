"""Answers that are given again, for models that allow it on a server that has room for them."""

import re

import numpy as np
import pytest
from support import onnx_models
from support.client import Client, floats, ints, outputs, request
from support.ensembles import chain, put_ensemble
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.rest import HTTP, Rest
from support.server import Serve, Server
from support.triton_clients import KINDS, triton

CACHED = "response_cache { enable: true }\n"
CACHE = ("--cache-config", "local,size=1048576")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_request_is_executed_once(repository: Repository, serve: Serve, kind: str) -> None:
    repository.onnx("double", onnx_models.scale(2.0), config=CACHED)
    server = serve(*HTTP, *CACHE)
    server.wait_ready()
    with triton(kind, server) as client, Client(server.target) as observer:
        for _ in range(3):
            given = client.input("x", [2, 4], "FP32")
            given.set_data_from_numpy(floats(2, 4))
            np.testing.assert_array_equal(
                client.call("infer", "double", [given]).as_numpy("y"), 2 * floats(2, 4)
            )
        found = observer.statistics("double")
        assert (found.inference_count, found.execution_count) == (2, 1)
        stats = found.inference_stats
        assert (stats.success.count, stats.queue.count, stats.compute_infer.count) == (3, 3, 1)
        assert (stats.cache_hit.count, stats.cache_miss.count) == (2, 1)
        assert stats.cache_hit.ns > 0
        assert stats.cache_miss.ns > 0


def test_a_hit_does_not_wait_in_the_queue(repository: Repository, serve: Serve, gate: Gate) -> None:
    repository.python("gated", GATED, config=gate.config + CACHED)
    server = serve(*CACHE)
    server.wait_ready()
    with Client(server.target) as client:
        gate.let(1)
        client.infer(request("gated", x=ints([1])))
        gate.next_batch()
        blocked = client.start(request("gated", x=ints([2])))
        gate.next_batch()
        # The model's only instance is busy, and nobody lets it go on.
        assert outputs(client.infer(request("gated", x=ints([1]))))["y"].tolist() == [[1]]
        gate.open()
        assert outputs(blocked.result())["y"].tolist() == [[2]]


def test_an_entry_serves_every_output_and_form(repository: Repository, serve: Serve) -> None:
    repository.onnx("same", onnx_models.identity(), config=CACHED)
    server = serve(*CACHE)
    server.wait_ready()
    with Client(server.target) as client:
        client.infer(request("same", x=floats(1, 4)))
        classes = request("same", x=floats(1, 4))
        classes.outputs.add(name="y").parameters["classification"].int64_param = 1
        assert outputs(client.infer(classes))["y"].tolist() == [[b"3.000000:3"]]
        assert client.statistics("same").inference_stats.cache_hit.count == 1


def test_a_model_that_is_loaded_again_answers_anew(repository: Repository, serve: Serve) -> None:
    repository.onnx("scale", onnx_models.scale(2.0), config=CACHED)
    server = serve("--model-control-mode", "poll", "--repository-poll-secs", "0.1", *CACHE)
    server.wait_ready()
    with Client(server.target) as client:
        assert factor(client) == 2.0
        loads = [record for record in server.records if record.get("event.action") == "model-loaded"]
        repository.onnx("scale", onnx_models.scale(5.0, ("rows", 4)))
        server.wait_for("model-loaded", lambda record: record not in loads)
        assert factor(client) == 5.0


def test_an_ensemble_may_be_cached_as_a_whole(repository: Repository, serve: Serve) -> None:
    repository.onnx("double", onnx_models.scale(2.0))
    put_ensemble(repository, "four", chain("double", "double") + CACHED)
    server = serve(*CACHE)
    server.wait_ready()
    with Client(server.target) as client:
        for _ in range(2):
            np.testing.assert_array_equal(
                outputs(client.infer(request("four", x=floats(1, 4))))["y"], 4 * floats(1, 4)
            )
        assert client.statistics("double").execution_count == 2
        assert client.statistics("four").inference_stats.cache_hit.count == 1


def test_memory_is_bounded_and_the_oldest_answer_makes_room(repository: Repository, serve: Serve) -> None:
    repository.onnx("same", onnx_models.identity("FP32", ("n", "m")), config=CACHED)
    server = serve(*HTTP, "--response-cache-byte-size", "10000")
    server.wait_ready()
    with Client(server.target) as client:
        # 4,000 bytes each: two of them fit.
        for start in (0, 1, 2, 0):
            client.infer(request("same", x=floats(1, 1000, start=start)))
        stats = client.statistics("same").inference_stats
        assert (stats.cache_hit.count, stats.cache_miss.count) == (0, 4)
        client.infer(request("same", x=floats(1, 1000)))
        assert client.statistics("same").inference_stats.cache_hit.count == 1
    found = metrics(server)
    assert found['nv_cache_num_hits_per_model{model="same",version="1"}'] == 1
    assert found['nv_cache_num_misses_per_model{model="same",version="1"}'] == 4
    assert found['nv_cache_miss_duration_per_model{model="same",version="1"}'] > 0
    assert 8000 < found["infermesh_cache_bytes"] <= found["infermesh_cache_limit_bytes"] == 10_000
    assert (found["infermesh_cache_answers"], found["infermesh_cache_evictions_total"]) == (2, 2)


def test_a_model_that_does_not_ask_for_it_is_never_cached(repository: Repository, serve: Serve) -> None:
    repository.onnx("scale", onnx_models.scale(2.0))
    server = serve(*HTTP, *CACHE)
    server.wait_ready()
    with Client(server.target) as client:
        assert [factor(client), factor(client)] == [2.0, 2.0]
        assert client.statistics("scale").execution_count == 2
    assert not [name for name in metrics(server) if name.startswith("nv_cache")]


def test_a_server_without_a_cache_says_so(repository: Repository, serve: Serve) -> None:
    repository.onnx("scale", onnx_models.scale(2.0), config=CACHED)
    server = serve()
    record = server.wait_for("model-warning")
    assert "scale: response_cache.enable: ignored: the server has no cache" in record["message"]
    server.wait_ready()
    with Client(server.target) as client:
        assert [factor(client), factor(client)] == [2.0, 2.0]
        assert client.statistics("scale").execution_count == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cache-config", "redis,host=here"), 'found the cache "redis", expected local,size=BYTES'),
        (("--cache-config", "local,size=much"), 'found "size=much", expected local,size=BYTES'),
        (("--cache-config", "local"), 'found "", expected local,size=BYTES'),
        ((*CACHE, *CACHE), "--cache-config was given twice"),
        ((*CACHE, "--response-cache-byte-size", "5"), "both say how large the cache is"),
    ],
)
def test_an_option_that_names_no_size_is_refused(
    serve: Serve, options: tuple[str, ...], message: str
) -> None:
    server = serve(*options)
    assert server.wait() == 2
    assert message in " ".join(server.transcript().split())


def factor(client: Client) -> float:
    """What the model ``scale`` multiplies with."""
    return float(outputs(client.infer(request("scale", x=floats(1, 4, start=1))))["y"][0, 0])


def metrics(server: Server) -> dict[str, float]:
    """Every sample by its name and labels."""
    with Rest(server.metrics_port) as rest:
        text = rest.get("/metrics").body.decode()
    return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", text, re.MULTILINE)}
