"""Loading and unloading by clients."""

import threading

import grpc
import pytest
import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, ints, outputs, refused, request, status
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.server import Serve, Server
from tritonclient.utils import InferenceServerException


@pytest.fixture
def server(serve: Serve, repository: Repository) -> Server:
    """Explicit mode; ``scale`` is there and not loaded."""
    repository.onnx("scale", onnx_models.scale(2.0))
    server = serve("--model-control-mode", "explicit")
    server.wait_ready()
    return server


def load(client: Client, name: str) -> None:
    client.inference.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=name), timeout=SECONDS)


def unload(client: Client, name: str) -> None:
    client.inference.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=name), timeout=SECONDS)


def factor(client: Client) -> float:
    return float(outputs(client.infer(request("scale", x=floats(1, 4, start=1))))["y"][0, 0])


def test_nothing_is_served_that_was_not_named(client: Client) -> None:
    assert client.index() == {}
    with refused(grpc.StatusCode.NOT_FOUND, "'scale' is not found"):
        factor(client)


def test_tritonclient_loads_and_unloads(server: Server) -> None:
    with triton.InferenceServerClient(server.target) as client:
        assert not client.is_model_ready("scale", client_timeout=SECONDS)
        client.load_model("scale", client_timeout=SECONDS)
        assert client.is_model_ready("scale", client_timeout=SECONDS)
        client.unload_model("scale", client_timeout=SECONDS)
        assert not client.is_model_ready("scale", client_timeout=SECONDS)
        with pytest.raises(InferenceServerException, match="failed to load 'absent'"):
            client.load_model("absent", client_timeout=SECONDS)


def test_a_loaded_model_is_served_until_it_is_unloaded(client: Client) -> None:
    load(client, "scale")
    assert factor(client) == 2.0
    assert client.index() == {("scale", "1"): ("READY", "")}
    unload(client, "scale")
    assert client.index() == {}
    with refused(grpc.StatusCode.NOT_FOUND, "'scale' is not found"):
        factor(client)


def test_loading_again_takes_the_file_as_it_is_now(client: Client, repository: Repository) -> None:
    load(client, "scale")
    repository.onnx("scale", onnx_models.scale(5.0))
    assert factor(client) == 2.0
    load(client, "scale")
    assert factor(client) == 5.0


def test_a_new_version_takes_the_place_of_the_old(client: Client, repository: Repository) -> None:
    load(client, "scale")
    repository.onnx("scale", onnx_models.scale(7.0), version=2)
    load(client, "scale")
    assert factor(client) == 7.0
    assert client.index() == {("scale", "2"): ("READY", "")}


def test_a_broken_file_is_an_error_and_what_was_loaded_stays(client: Client, repository: Repository) -> None:
    load(client, "scale")
    repository.onnx("scale", b"broken")
    with refused(grpc.StatusCode.INTERNAL, "failed to load 'scale'", "model.onnx"):
        load(client, "scale")
    assert factor(client) == 2.0


@pytest.mark.parametrize("name", ["absent", "", "..", ".", "../repository/scale", "/etc"])
def test_a_name_outside_the_repository_is_not_found(client: Client, name: str) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, f"failed to load '{name}'"):
        load(client, name)
    assert client.inference.ServerReady(pb.ServerReadyRequest(), timeout=SECONDS).ready


def test_unloading_what_is_not_loaded_is_not_found(client: Client) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "failed to unload 'scale'"):
        unload(client, "scale")


def test_the_command_line_names_what_to_load(serve: Serve, repository: Repository) -> None:
    for name in ("first", "second", "third"):
        repository.onnx(name, onnx_models.identity())
    server = serve("--model-control-mode", "explicit", "--load-model", "first", "--load-model", "third")
    server.wait_ready()
    with Client(server.target) as client:
        assert {name for name, _ in client.index()} == {"first", "third"}


def test_unloading_answers_what_was_accepted_first(
    server: Server, client: Client, repository: Repository, gate: Gate
) -> None:
    repository.python("gated", GATED, config=gate.config)
    load(client, "gated")
    running = client.start(request("gated", x=ints([1])))
    gate.next_batch()
    waiting = client.start(request("gated", x=ints([2])))
    client.fence()
    unloaded = client.inference.RepositoryModelUnload.future(
        pb.RepositoryModelUnloadRequest(model_name="gated"), timeout=SECONDS
    )
    while client.index():
        assert not unloaded.done()
    gate.open()
    assert outputs(running.result())["y"].tolist() == [[1]]
    assert outputs(waiting.result())["y"].tolist() == [[2]]
    unloaded.result()
    assert server.running


def test_loading_holds_no_inference_up(client: Client, repository: Repository, gate: Gate) -> None:
    wait_at_load = "import os; os.read(os.open('{folder}/go', os.O_RDWR), 1)\n" + GATED
    load(client, "scale")
    repository.python("gated", wait_at_load.replace("{folder}", str(gate.folder)), config=gate.config)
    loading = client.inference.RepositoryModelLoad.future(
        pb.RepositoryModelLoadRequest(model_name="gated"), timeout=SECONDS
    )
    client.fence()
    assert factor(client) == 2.0
    assert not loading.done()
    gate.let()
    loading.result()


def test_reloading_under_load_fails_no_request(client: Client, server: Server) -> None:
    load(client, "scale")
    over = threading.Event()
    failures: list[str] = []

    def call() -> None:
        with Client(server.target) as caller:
            while not over.is_set():
                try:
                    factor(caller)
                except grpc.RpcError as error:
                    failures.append(str(status(error)))
                    return

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(100):
            load(client, "scale")
    finally:
        over.set()
        for caller in callers:
            caller.join(SECONDS)
    assert failures == []
