"""Ensembles: requests that several models compute, step by step, inside the server."""

from typing import Any

import grpc
import numpy as np
import pytest
from support import onnx_models
from support.client import Client, floats, ints, outputs, refused, request, status
from support.ensembles import Step, chain, ensemble_config, put_ensemble
from support.gate import Gate
from support.python_models import GATED, MOODY, REVERSE
from support.repository import Repository
from support.rest import HTTP
from support.server import Serve
from support.triton_clients import KINDS, triton

FP32_4 = ("FP32", [4])
DYNAMIC = "dynamic_batching { }\n"
DIAMOND = ensemble_config(
    {"x": FP32_4},
    {"sum": FP32_4, "left": FP32_4},
    # In an order in which nothing could run.
    Step("add", {"a": "left", "b": "right"}, {"sum": "sum"}),
    Step("double", {"x": "x"}, {"y": "left"}),
    Step("triple", {"x": "x"}, {"y": "right"}),
)


@pytest.fixture
def scales(repository: Repository) -> Repository:
    """Models that multiply and add FP32."""
    repository.onnx("double", onnx_models.scale(2.0))
    repository.onnx("triple", onnx_models.scale(3.0))
    repository.onnx("add", onnx_models.add(4))
    return repository


@pytest.mark.parametrize("kind", KINDS)
def test_a_diamond_through_every_client(scales: Repository, serve: Serve, kind: str) -> None:
    put_ensemble(scales, "diamond", DIAMOND)
    server = serve(*HTTP)
    server.wait_ready()
    x = floats(3, 4)
    with triton(kind, server) as client:
        given = client.input("x", [3, 4], "FP32")
        given.set_data_from_numpy(x)
        answer = client.call("infer", "diamond", [given], request_id="r")
        np.testing.assert_array_equal(answer.as_numpy("sum"), 5 * x)
        np.testing.assert_array_equal(answer.as_numpy("left"), 2 * x)
        metadata = client.call("get_model_metadata", "diamond")
        platform = metadata["platform"] if client.is_http else metadata.platform
        assert platform == "ensemble"


def test_an_ensemble_in_an_ensemble(scales: Repository, serve: Serve) -> None:
    put_ensemble(scales, "aa_twelve", chain("six", "double"))
    put_ensemble(scales, "six", chain("double", "triple"))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        response = client.infer(request("aa_twelve", id_="r", x=floats(2, 4)))
        assert (response.model_name, response.model_version, response.id) == ("aa_twelve", "1", "r")
        np.testing.assert_array_equal(outputs(response)["y"], 12 * floats(2, 4))


def test_text_between_onnx_and_python(repository: Repository, serve: Serve) -> None:
    repository.onnx("same", onnx_models.identity("BYTES", ("n", 1)))
    repository.python("reverse", REVERSE)
    put_ensemble(repository, "text", chain("same", "reverse", "same", datatype="STRING", dims=(1,)))
    server = serve()
    server.wait_ready()
    words = np.array([[b"one"], [b""], ["zw\u00f6lf".encode()]], dtype=object)
    with Client(server.target) as client:
        found = outputs(client.infer(request("text", x=words)))["y"]
        assert found.tolist() == [[word[0][::-1]] for word in words.tolist()]


def test_a_step_names_a_version(scales: Repository, serve: Serve) -> None:
    scales.onnx("double", onnx_models.scale(20.0), version=2, config="version_policy { all { } }\n")
    maps = ({"x": "x"}, {"y": "y"})
    put_ensemble(scales, "old", ensemble_config({"x": FP32_4}, {"y": FP32_4}, Step("double", *maps, 1)))
    put_ensemble(scales, "new", ensemble_config({"x": FP32_4}, {"y": FP32_4}, Step("double", *maps)))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        factors = [
            outputs(client.infer(request(name, x=floats(1, 4, start=1))))["y"][0, 0]
            for name in ("old", "new")
        ]
        assert factors == [2.0, 20.0]


def test_only_what_is_wanted_is_computed(scales: Repository, serve: Serve) -> None:
    put_ensemble(scales, "diamond", DIAMOND)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        wanted = request("diamond", x=floats(1, 4))
        wanted.outputs.add(name="left")
        np.testing.assert_array_equal(outputs(client.infer(wanted))["left"], 2 * floats(1, 4))
        counts = {name: client.statistics(name).inference_count for name in ("double", "triple", "add")}
        assert counts == {"double": 1, "triple": 0, "add": 0}


def test_steps_that_need_nothing_of_each_other_run_at_once(
    repository: Repository, serve: Serve, gate: Gate, other_gate: Gate
) -> None:
    repository.python("one", GATED, config=gate.config)
    repository.python("two", GATED, config=other_gate.config)
    put_ensemble(
        repository,
        "both",
        ensemble_config(
            {"x": ("INT32", [-1])},
            {"a": ("INT32", [-1]), "b": ("INT32", [-1])},
            Step("one", {"x": "x"}, {"y": "a"}),
            Step("two", {"x": "x"}, {"y": "b"}),
        ),
    )
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        call = client.start(request("both", x=ints([7])))
        assert [gate.next_batch().rows, other_gate.next_batch().rows] == [[[7]], [[7]]]
        gate.open()
        other_gate.open()
        assert [array.tolist() for array in outputs(call.result()).values()] == [[[7]], [[7]]]


def test_requests_of_two_ensembles_share_a_member_s_batch(
    repository: Repository, serve: Serve, gate: Gate
) -> None:
    repository.onnx("same", onnx_models.identity("INT32", ("n", "m")))
    repository.python("gated", GATED, config=gate.config + DYNAMIC)
    put_ensemble(repository, "direct", chain("gated", datatype="INT32", dims=(-1,)))
    put_ensemble(repository, "after", chain("same", "gated", datatype="INT32", dims=(-1,)))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        first = client.start(request("direct", x=ints([0])))
        assert gate.next_batch().rows == [[0]]
        calls = [client.start(request(name, x=ints([row]))) for name, row in (("after", 1), ("direct", 2))]
        # "after" is in the member's queue once the model before it has answered.
        while client.statistics("same").execution_count == 0:
            client.fence()
        client.fence()
        gate.let(1)
        assert sorted(gate.next_batch().rows) == [[1], [2]]
        gate.open()
        assert [outputs(call.result())["y"].tolist() for call in (first, *calls)] == [[[0]], [[1]], [[2]]]


def test_a_request_that_is_given_up_goes_no_further(
    repository: Repository, serve: Serve, gate: Gate, other_gate: Gate
) -> None:
    gated_chain(repository, gate, other_gate)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        call = client.start(request("chain", x=ints([1])))
        gate.next_batch()
        call.cancel()
        late = client.start(request("chain", x=ints([2])), timeout=0.3)
        assert status_of(late) == grpc.StatusCode.DEADLINE_EXCEEDED
        client.fence()
        gate.open()
        other_gate.open()
        assert outputs(client.infer(request("chain", x=ints([3]))))["y"].tolist() == [[3]]
        # The first of the second step's batches is that of the request that was waited for.
        assert other_gate.next_batch().rows == [[3]]
        found = client.statistics("chain")
        assert (found.inference_stats.success.count, found.inference_stats.fail.count) == (1, 2)


def test_the_queue_timeout_of_a_request_counts_for_all_steps(
    repository: Repository, serve: Serve, gate: Gate, other_gate: Gate
) -> None:
    gated_chain(repository, gate, other_gate)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        client.start(request("second", x=ints([0])))
        other_gate.next_batch()
        gate.open()
        impatient = request("chain", x=ints([1]))
        impatient.parameters["timeout"].int64_param = 200_000
        with refused(
            grpc.StatusCode.UNAVAILABLE, "in ensemble 'chain', model 'second'", "Request timeout expired"
        ):
            client.infer(impatient)
        other_gate.open()


@pytest.mark.parametrize(("row", "message"), [(1, "seven is no answer"), (3, "output 'y'"), (4, "'y'")])
def test_a_member_that_fails_fails_the_request_and_is_named(
    repository: Repository, serve: Serve, row: int, message: str
) -> None:
    repository.python("moody", MOODY)
    put_ensemble(repository, "outer", chain("moody", "moody", datatype="INT32", dims=(1,), max_batch_size=1))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        with refused(grpc.StatusCode.INTERNAL, "in ensemble 'outer', model 'moody': ", message):
            client.infer(request("outer", x=ints([row])))
        assert outputs(client.infer(request("outer", x=ints([0]))))["y"].tolist() == [[0]]
        found = client.statistics("outer").inference_stats
        assert (found.success.count, found.fail.count) == (1, 1)


def test_sizes_that_vary_are_compared_when_they_are_known(repository: Repository, serve: Serve) -> None:
    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")))
    repository.onnx("four", onnx_models.scale(2.0))
    put_ensemble(repository, "mixed", chain("wide", "four", dims=(-1,)))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        with refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            "in ensemble 'mixed', model 'four': unexpected shape for input 'x'",
            "Expected [-1,4], got [1,5]",
        ):
            client.infer(request("mixed", x=floats(1, 5)))
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "batch-size must be <= 8 for 'mixed'"):
            client.infer(request("mixed", x=floats(9, 4)))
        np.testing.assert_array_equal(
            outputs(client.infer(request("mixed", x=floats(8, 4))))["y"], 2 * floats(8, 4)
        )


def test_statistics_are_those_of_the_steps_together(scales: Repository, serve: Serve) -> None:
    put_ensemble(scales, "six", chain("double", "triple"))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        for _ in range(3):
            client.infer(request("six", x=floats(2, 4)))
        found, parts = client.statistics("six"), [client.statistics(it) for it in ("double", "triple")]
        assert (found.inference_count, found.execution_count) == (6, 3)
        assert [batch.batch_size for batch in found.batch_stats] == [2]
        for phase in ("queue", "compute_input", "compute_infer", "compute_output"):
            whole = getattr(found.inference_stats, phase)
            assert (whole.count, whole.ns) == (
                3,
                sum(getattr(part.inference_stats, phase).ns for part in parts),
            )
        assert found.inference_stats.success.ns > found.inference_stats.compute_infer.ns


def gated_chain(repository: Repository, gate: Gate, other_gate: Gate) -> None:
    """An ensemble of two models, each held by a gate."""
    policy = "dynamic_batching { default_queue_policy { allow_timeout_override: true } }\n"
    repository.python("first", GATED, config=gate.config + policy)
    repository.python("second", GATED, config=other_gate.config + policy)
    put_ensemble(repository, "chain", chain("first", "second", datatype="INT32", dims=(-1,)))


def status_of(call: Any) -> grpc.StatusCode:
    """How a call ends that is no success."""
    error = call.exception()
    assert error is not None
    return status(error)[0]
