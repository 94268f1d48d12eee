"""What `infermesh render compose` writes, as text: what of it runs, `test_compose` tells."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from infermesh.deploy.compose.ports import address
from infermesh.deploy.compose.project import files
from infermesh.deploy.compose.services import Where
from infermesh.errors import ConfigurationError
from support.command_line import Outcome
from support.rendered import rendered

SERVER = "servers: {fraud: models}\n"
APP = "apps: {shop: {image: 'shop:1', port: 8070}}\n"


def project(folder: Path, mesh: str, people: str = "127.0.0.1", environment: str | None = None) -> Any:
    """The services, and files beside them."""
    where = Where("..", address(people))
    found = rendered(folder, mesh, lambda description: files(description, where), environment)
    return yaml.safe_load(found["compose.yaml"])["services"], found


def services(folder: Path, mesh: str, people: str = "127.0.0.1") -> Mapping[str, Any]:
    found, _ = project(folder, mesh, people)
    return dict(found)


def sidecar(found: Mapping[str, str], name: str = "shop") -> Any:
    return yaml.safe_load(found[f"{name}/sidecar.yaml"])


def test_the_app_starts_after_its_sidecar_lives(tmp_path: Path) -> None:
    found = services(tmp_path, SERVER + APP)
    assert list(found) == ["fraud", "shop-sidecar", "shop"]
    assert found["shop"]["network_mode"] == "service:shop-sidecar"
    assert found["shop"]["depends_on"] == {"shop-sidecar": {"condition": "service_healthy", "restart": True}}
    assert found["shop-sidecar"]["healthcheck"]["test"][-1].endswith("/live")
    assert found["shop-sidecar"]["networks"] == {"default": {"aliases": ["shop"]}}
    assert found["fraud"]["healthcheck"]["test"][-1].endswith("/v2/health/ready")


def test_what_nobody_in_the_mesh_calls_is_published(tmp_path: Path) -> None:
    found = services(tmp_path, SERVER + APP)
    assert found["shop-sidecar"]["ports"] == ["127.0.0.1::15106"]
    assert "ports" not in found["fraud"]
    assert services(tmp_path, SERVER)["fraud"]["ports"] == ["127.0.0.1::8001"]


def test_what_is_exposed_is_published(tmp_path: Path) -> None:
    mesh = "servers: {fraud: {models: models, expose: fraud.example.com}}\n"
    assert services(tmp_path, mesh + APP)["fraud"]["ports"] == ["127.0.0.1::8001"]


def test_a_port_of_this_machine_is_the_first_replicas(tmp_path: Path) -> None:
    app = "apps: {shop: {image: 'shop:1', port: 8070, listen: 8080, placement: {replicas: 2}}}\n"
    found = services(tmp_path, SERVER + app)
    assert list(found) == ["fraud", "shop-sidecar", "shop", "shop-2-sidecar", "shop-2"]
    assert found["shop-sidecar"]["ports"] == ["127.0.0.1:8080:15106"]
    assert found["shop-2-sidecar"]["ports"] == ["127.0.0.1::15106"]
    assert found["shop-2"]["network_mode"] == "service:shop-2-sidecar"


def test_replicas_of_a_server_cannot_share_a_port(tmp_path: Path) -> None:
    mesh = "servers: {fraud: {models: models, ports: {grpc: 8001}, placement: {replicas: 2}}}\n"
    with pytest.raises(ConfigurationError, match=r"fraud: 2 of it cannot all listen on port 8001 \(grpc\)"):
        services(tmp_path, mesh)


def test_operators_ports_stay_on_loopback(tmp_path: Path) -> None:
    mesh = "servers: {fraud: {models: models, ports: {grpc: 8001, http: 8000}}}\n"
    assert services(tmp_path, mesh, "0.0.0.0")["fraud"]["ports"] == [
        "0.0.0.0:8001:8001",
        "127.0.0.1:8000:8000",
    ]
    assert services(tmp_path, mesh, "::")["fraud"]["ports"][0] == "[::]:8001:8001"


def test_callers_from_elsewhere_need_an_identity(tmp_path: Path) -> None:
    for people, expected in (("127.0.0.1", "permissive"), ("::1", "permissive"), ("0.0.0.0", "mutual")):
        _, found = project(tmp_path, SERVER + APP, people)
        assert sidecar(found)["inbound"]["tls"] == expected


def test_servers_are_found_by_name(tmp_path: Path) -> None:
    _, found = project(tmp_path, SERVER + APP)
    service = sidecar(found)["services"]["fraud"]
    assert service["dns"] == "fraud:8001"
    assert service["identities"] == ["spiffe://mesh.local/fraud"]


def test_identities_are_mounted_where_tls_is_mutual(tmp_path: Path) -> None:
    found = services(tmp_path, SERVER + APP)
    for service, name in (("fraud", "fraud"), ("shop-sidecar", "shop")):
        sources = {it["target"]: it["source"] for it in found[service]["volumes"]}
        assert sources["/run/identity"] == f"${{INFERMESH_IDENTITIES:-../.infermesh/identity}}/{name}"
    off, files_ = project(tmp_path, "tls: 'off'\n" + SERVER + APP)
    assert "/run/identity" not in str(off)
    assert sidecar(files_)["tls"] == "off"


def test_folders_are_those_of_mesh_yaml(tmp_path: Path) -> None:
    other = tmp_path / "other" / "models"
    other.mkdir(parents=True)
    mesh = f"servers: {{fraud: {{models: [models, {other}, 's3://bucket/models']}}}}\n"
    found = services(tmp_path, mesh)["fraud"]
    sources = {it["target"]: (it["source"], it["read_only"]) for it in found["volumes"]}
    assert sources["/mnt/models"] == ("${INFERMESH_HOME:-..}/models", True)
    assert sources["/mnt/models-2"] == (str(other), True)
    assert found["command"][:4] == ["serve", "/mnt/models", "/mnt/models-2", "s3://bucket/models"]


def test_what_is_copied_can_be_written(tmp_path: Path) -> None:
    app = "apps: {shop: {image: 'shop:1', port: 8070, copies: {directory: copies}}}\n"
    found, files_ = project(tmp_path, SERVER + app)
    (mount,) = [it for it in found["shop-sidecar"]["volumes"] if it["target"] == "/mnt/copies"]
    assert (mount["source"], mount["read_only"]) == ("${INFERMESH_HOME:-..}/copies", False)
    assert sidecar(files_)["capture"]["directory"] == "/mnt/copies"


def test_resources(tmp_path: Path) -> None:
    placement = "{gpu: 2, memory: 1536MiB, cpu: 1500m, autoscale: {min: 3}}"
    found = services(tmp_path, f"servers: {{fraud: {{models: models, placement: {placement}}}}}\n")["fraud"]
    assert found["image"].startswith("infermesh/server-cuda:")
    assert found["cpu_shares"] == 1536
    assert found["deploy"]["replicas"] == 3
    resources = found["deploy"]["resources"]
    assert resources["limits"] == {"memory": "1536m"}
    (device,) = resources["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 2, "capabilities": ["gpu"]}


def test_values_are_no_variables(tmp_path: Path) -> None:
    mesh = "servers: {fraud: {models: models, arguments: ['--x=${A}'], environment: {PRICE: '5$'}}}\n"
    found = services(tmp_path, mesh)["fraud"]
    assert found["command"][-1] == "--x=$${A}"
    assert found["environment"]["PRICE"] == "5$$"


def test_infermeshs_own_are_confined_and_peoples_are_not_broken(tmp_path: Path) -> None:
    found = services(tmp_path, SERVER + APP)
    for name in ("fraud", "shop-sidecar"):
        assert found[name]["read_only"] is True
        assert found[name]["cap_drop"] == ["ALL"]
        assert found[name]["user"] == "${INFERMESH_USER:-65532:65532}"
    assert found["shop"].keys().isdisjoint({"read_only", "cap_drop", "user", "command"})
    assert all(it["security_opt"] == ["no-new-privileges:true"] for it in found.values())


def test_other_files_start_their_readers_anew(tmp_path: Path) -> None:
    before = services(tmp_path, SERVER + APP)["shop-sidecar"]["labels"]
    app = APP.replace("port: 8070", "port: 8070, health: /healthz")
    assert services(tmp_path, SERVER + app)["shop-sidecar"]["labels"] != before
    assert services(tmp_path, SERVER + APP)["shop-sidecar"]["labels"] == before


@pytest.mark.parametrize("app", ["run: python shop.py, port: 8070", "port: 8070"])
def test_an_app_needs_an_image(tmp_path: Path, app: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mesh\.yaml:2: apps\.shop: found no image, expected image"):
        services(tmp_path, f"{SERVER}apps: {{shop: {{{app}}}}}\n")


def test_an_environment_may_say_it(tmp_path: Path) -> None:
    mesh = (
        SERVER
        + "apps: {shop: {run: python shop.py, port: 8070}}\n"
        + "environments: {compose: {apps: {shop: {image: 'shop:1'}}}}\n"
    )
    found, _ = project(tmp_path, mesh, environment="compose")
    assert found["shop"]["image"] == "shop:1"


def test_names_that_would_be_one(tmp_path: Path) -> None:
    mesh = "servers: {shop-sidecar: models}\n" + APP
    with pytest.raises(ConfigurationError, match=r"mesh\.yaml:2: apps\.shop: found a second service"):
        services(tmp_path, mesh)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "mesh.yaml").write_text(SERVER + APP)
    output = tmp_path / "deploy" / "compose"
    done = Outcome(capsys, "render", "compose", tmp_path / "mesh.yaml", "-o", output)
    assert (done.code, done.lines) == (0, [f"2 files in {output}"])
    assert "${INFERMESH_HOME:-../..}/models" in (output / "compose.yaml").read_text()
    done = Outcome(capsys, "render", "compose", tmp_path / "mesh.yaml", "--publish", "everywhere")
    assert done.code == 2
    assert "--publish: found 'everywhere', expected an IP address" in done.err
