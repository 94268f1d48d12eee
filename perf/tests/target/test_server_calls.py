from pathlib import Path

import pytest
from infermesh_perf.target.api import Api
from infermesh_perf.target.connect import connect
from infermesh_perf.target.errors import RefusedError
from infermesh_perf.target.target import target
from support.repository import Repository
from support.server import serving


def test_the_server_and_its_models(api: Api) -> None:
    server = api.server()
    assert server.name == "infermesh"
    assert server.version
    assert "statistics" in server.extensions
    assert api.server_ready()
    assert api.model_ready("add")
    assert api.model_ready("add", "1")
    assert not api.model_ready("absent")
    index = api.index()
    assert index is not None
    assert ("add", "1", "READY") in [(model.name, model.version, model.state) for model in index.models]


def test_configuration_and_statistics(api: Api) -> None:
    config = api.config("add")
    assert config is not None
    assert (config.name, config.max_batch_size, list(config.input[0].dims)) == ("add", 8, [16])
    one, all_of_them = api.statistics("add"), api.statistics()
    assert one is not None
    assert all_of_them is not None
    assert [(found.name, found.version) for found in one.model_stats] == [("add", "1")]
    assert len(all_of_them.model_stats) > 10


def test_a_unix_socket(tmp_path: Path) -> None:
    root = Repository.make(tmp_path / "repository").root
    with (
        serving(root, "--grpc-socket", tmp_path / "grpc.sock"),
        connect(target(f"unix:{tmp_path / 'grpc.sock'}")) as api,
    ):
        assert api.server_ready()


def test_refusals_have_a_status_and_the_servers_words(api: Api) -> None:
    with pytest.raises(RefusedError, match="'absent' is not available") as caught:
        api.statistics("absent")
    assert caught.value.status in ("INVALID_ARGUMENT", "HTTP 400")
    assert str(api.target.address) in str(caught.value)
    with pytest.raises(RefusedError, match="Unable to open shared memory region"):
        api.register_system_memory("r", "/no-such-object", 10)
