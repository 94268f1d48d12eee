"""What the server says about itself, to tritonclient's two clients."""

import asyncio

import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from support.server import Server


def test_live_and_ready(zoo: Server) -> None:
    with triton.InferenceServerClient(zoo.target) as client:
        assert client.is_server_live(client_timeout=20)
        assert client.is_server_ready(client_timeout=20)


def test_models_are_ready_and_unknown_ones_are_not(zoo: Server) -> None:
    with triton.InferenceServerClient(zoo.target) as client:
        assert client.is_model_ready("add", client_timeout=20)
        assert client.is_model_ready("add", "1", client_timeout=20)
        assert not client.is_model_ready("add", "2", client_timeout=20)
        assert not client.is_model_ready("absent", client_timeout=20)


def test_server_metadata_names_extensions_that_are_served(zoo: Server) -> None:
    with triton.InferenceServerClient(zoo.target) as client:
        metadata = client.get_server_metadata(client_timeout=20)
        assert metadata.name == "infermesh"
        assert metadata.version
        assert set(metadata.extensions) >= {
            "classification",
            "model_configuration",
            "model_repository",
            "statistics",
            "system_shared_memory",
        }
        # A client acts on what is promised here, and there is no device.
        assert "cuda_shared_memory" not in metadata.extensions


def test_model_metadata_includes_the_batch_dimension(zoo: Server) -> None:
    with triton.InferenceServerClient(zoo.target) as client:
        metadata = client.get_model_metadata("add", as_json=True, client_timeout=20)
    assert metadata["versions"] == ["1"]
    assert [(tensor["name"], tensor["datatype"], tensor["shape"]) for tensor in metadata["inputs"]] == [
        ("a", "FP32", ["-1", "16"]),
        ("b", "FP32", ["-1", "16"]),
    ]
    assert [(tensor["name"], tensor["shape"]) for tensor in metadata["outputs"]] == [("sum", ["-1", "16"])]


def test_model_config_excludes_the_batch_dimension(zoo: Server) -> None:
    with triton.InferenceServerClient(zoo.target) as client:
        config = client.get_model_config("add", client_timeout=20).config
    assert config.name == "add"
    assert config.backend == "onnxruntime"
    assert config.max_batch_size > 1
    assert config.HasField("dynamic_batching")
    assert [(tensor.name, list(tensor.dims)) for tensor in config.input] == [("a", [16]), ("b", [16])]


def test_the_index_lists_every_model(zoo: Server) -> None:
    with triton.InferenceServerClient(zoo.target) as client:
        index = client.get_model_repository_index(client_timeout=20)
    states = {(model.name, model.version): model.state for model in index.models}
    assert states["add", "1"] == "READY"
    assert len(states) == 18
    assert set(states.values()) == {"READY"}


def test_the_asynchronous_client_is_told_the_same(zoo: Server) -> None:
    async def ask() -> None:
        async with triton_aio.InferenceServerClient(zoo.target) as client:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready("add")
            assert not await client.is_model_ready("absent")
            assert (await client.get_server_metadata()).name == "infermesh"
            assert (await client.get_model_metadata("add")).inputs[0].name == "a"
            assert (await client.get_model_config("add")).config.name == "add"
            assert len((await client.get_model_repository_index()).models) == 18
            assert (await client.get_inference_statistics("add")).model_stats[0].name == "add"

    asyncio.run(asyncio.wait_for(ask(), 20))
