"""Ensembles come and go with their members."""

import shutil
import threading

import numpy as np
import pytest
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, request
from support.ensembles import chain, put_ensemble
from support.process import Record
from support.repository import Repository
from support.rest import HTTP
from support.server import Serve, Server
from support.triton_clients import triton

POLL = ("--model-control-mode", "poll", "--repository-poll-secs", "0.1")


@pytest.fixture
def members(repository: Repository) -> Repository:
    """An ensemble, ``six``, and its members."""
    repository.onnx("double", onnx_models.scale(2.0))
    repository.onnx("triple", onnx_models.scale(3.0))
    put_ensemble(repository, "six", chain("double", "triple"))
    return repository


@pytest.mark.parametrize("kind", ["grpc", "http"])
@pytest.mark.usefixtures("members")
def test_members_come_and_go_with_their_ensemble(serve: Serve, kind: str) -> None:
    server = serve("--model-control-mode", "explicit", *HTTP)
    server.wait_ready()
    with triton(kind, server) as client:
        client.call("load_model", "six")
        assert [client.call("is_model_ready", name) for name in ("six", "double", "triple")] == [True] * 3
        client.call("unload_model", "six", unload_dependents=True)
        assert [client.call("is_model_ready", name) for name in ("six", "double", "triple")] == [False] * 3


@pytest.mark.usefixtures("members")
def test_members_stay_unless_they_are_to_go(serve: Serve) -> None:
    server = serve("--model-control-mode", "explicit", *HTTP)
    server.wait_ready()
    with triton("grpc", server) as client:
        client.call("load_model", "six")
        client.call("unload_model", "six")
        assert [client.call("is_model_ready", name) for name in ("six", "double")] == [False, True]


def test_an_ensemble_waits_for_a_member_that_is_gone(members: Repository, serve: Serve) -> None:
    server = serve(*POLL)
    server.wait_ready()
    with Client(server.target) as client:
        shutil.rmtree(members.root / "triple")
        server.wait_for("model-unloaded", lambda record: record["infermesh.model.name"] == "triple")
        # It is told of once the whole change is made.
        while client.index()[("six", "1")][0] == "READY":
            client.fence()
        state, reason = client.index()[("six", "1")]
        assert state == "UNAVAILABLE"
        assert "step 2 needs the model 'triple', which is not ready" in reason
        before = list(server.records)
        members.onnx("triple", onnx_models.scale(30.0))
        loaded_again(server, "six", before)
        assert client.index()[("six", "1")][0] == "READY"
        np.testing.assert_array_equal(
            outputs(client.infer(request("six", x=floats(1, 4))))["y"], 60 * floats(1, 4)
        )


def test_a_member_replaced_under_load_fails_no_request(members: Repository, serve: Serve) -> None:
    server = serve(*POLL)
    server.wait_ready()
    stop = threading.Event()
    factors: set[float] = set()
    failures: list[Exception] = []

    def ask() -> None:
        with Client(server.target) as client:
            while not stop.is_set():
                try:
                    answer = client.infer(request("six", x=floats(1, 4, start=1)))
                except Exception as error:  # whatever it is, it is a request that failed
                    failures.append(error)
                    return
                factors.add(float(outputs(answer)["y"][0, 0]))

    before = list(server.records)
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        members.onnx("triple", onnx_models.scale(30.0), version=2)
        loaded_again(server, "six", before)
        with Client(server.target) as client:
            answer = client.infer(request("six", x=floats(1, 4, start=1)))
    finally:
        stop.set()
        asking.join(SECONDS)
    assert failures == []
    assert outputs(answer)["y"][0, 0] == 60.0
    assert factors <= {6.0, 60.0}
    assert factors


def test_ensembles_that_call_each_other_are_refused(repository: Repository, serve: Serve) -> None:
    put_ensemble(repository, "one", chain("two"))
    put_ensemble(repository, "two", chain("one"))
    server = serve("--model-control-mode", "explicit", *HTTP)
    server.wait_ready()
    with triton("grpc", server) as client, pytest.raises(Exception, match="calls itself: one -> two -> one"):
        client.call("load_model", "one")


def loaded_again(server: Server, model: str, before: list[Record]) -> None:
    """Wait until a model is loaded that was not when ``before`` was noted."""
    server.wait_for(
        "model-loaded",
        lambda record: record["infermesh.model.name"] == model and record not in before,
    )
