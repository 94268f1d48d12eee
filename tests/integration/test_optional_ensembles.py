"""Optional inputs of ensembles, and of their members."""

import grpc
import pytest
from support import onnx_models
from support.client import Client, floats, outputs, refused, request
from support.ensembles import Step, ensemble_config, put_ensemble
from support.repository import Repository
from support.server import Serve

PORTS = (
    'max_batch_size: 8\ninput { name: "x" data_type: TYPE_FP32 dims: 4 }\n'
    'input { name: "bias" data_type: TYPE_FP32 dims: 4 optional: true }\n'
)
TENSORS = {"x": ("FP32", [4]), "shift": ("FP32", [4])}


def optional(config: str) -> str:
    """The ensemble's ``shift`` may be left out."""
    old = 'input { name: "shift" data_type: TYPE_FP32 dims: [4] }'
    assert old in config
    return config.replace(old, old.replace(" }", " optional: true }"))


@pytest.fixture
def members(repository: Repository) -> Repository:
    """``biased``, which adds a hundred unless it is told what to add, and ``double``."""
    repository.onnx("biased", onnx_models.biased(), config=PORTS)
    repository.onnx("double", onnx_models.scale(2.0))
    return repository


def test_it_is_passed_on_or_left_out(serve: Serve, members: Repository) -> None:
    steps = (
        Step("double", {"x": "x"}, {"y": "twice"}),
        Step("biased", {"x": "twice", "bias": "shift"}, {"y": "y"}),
    )
    put_ensemble(members, "all", optional(ensemble_config(TENSORS, {"y": ("FP32", [4])}, *steps)))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert outputs(client.infer(request("all", x=floats(1, 4))))["y"].tolist() == [[100, 102, 104, 106]]
        answer = client.infer(request("all", x=floats(1, 4), shift=floats(1, 4)))
        assert outputs(answer)["y"].tolist() == [[0, 3, 6, 9]]
        for name in ("all", "biased"):
            found = client.statistics(name)
            assert (found.inference_count, found.inference_stats.success.count) == (2, 2)
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "expected number of inputs between 1 and 2", "['x']"):
            client.infer(request("all", shift=floats(1, 4)))


def test_it_may_come_from_a_step_before(serve: Serve, members: Repository) -> None:
    steps = (
        Step("double", {"x": "x"}, {"y": "twice"}),
        Step("biased", {"x": "x", "bias": "twice"}, {"y": "y"}),
    )
    inputs = {"x": TENSORS["x"]}
    put_ensemble(members, "all", ensemble_config(inputs, {"y": ("FP32", [4])}, *steps))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert outputs(client.infer(request("all", x=floats(1, 4))))["y"].tolist() == [[0, 3, 6, 9]]


def test_a_members_need_not_be_mapped(serve: Serve, members: Repository) -> None:
    step = Step("biased", {"x": "x"}, {"y": "y"})
    put_ensemble(members, "all", ensemble_config({"x": TENSORS["x"]}, {"y": ("FP32", [4])}, step))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert outputs(client.infer(request("all", x=floats(1, 4))))["y"].tolist() == [[100, 101, 102, 103]]


def test_ensembles_of_ensembles_pass_it_on(serve: Serve, members: Repository) -> None:
    outer = {"y": ("FP32", [4])}
    inner = Step("biased", {"x": "x", "bias": "shift"}, {"y": "y"})
    put_ensemble(members, "inner", optional(ensemble_config(TENSORS, outer, inner)))
    step = Step("inner", {"x": "x", "shift": "shift"}, {"y": "y"})
    put_ensemble(members, "outer", optional(ensemble_config(TENSORS, outer, step)))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        assert outputs(client.infer(request("outer", x=floats(1, 4))))["y"].tolist() == [[100, 101, 102, 103]]
        answer = client.infer(request("outer", x=floats(1, 4), shift=floats(1, 4)))
        assert outputs(answer)["y"].tolist() == [[0, 2, 4, 6]]


def test_what_a_member_needs_cannot_be_optional(serve: Serve, members: Repository) -> None:
    steps = (
        Step("double", {"x": "shift"}, {"y": "between"}),
        Step("biased", {"x": "x", "bias": "between"}, {"y": "y"}),
    )
    put_ensemble(members, "all", optional(ensemble_config(TENSORS, {"y": ("FP32", [4])}, *steps)))
    record = serve().wait_for("model-load-failed")
    message = (
        "the tensor 'shift' from input 'shift' of the ensemble is optional, but input 'x' of model 'double'"
    )
    assert message in record["error.message"]
