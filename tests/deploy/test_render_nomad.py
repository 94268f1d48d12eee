"""What `infermesh render nomad` writes: HCL that others read, too, and entries for Consul that fit it."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from infermesh.deploy.nomad.job import files
from infermesh.errors import ConfigurationError
from support.command_line import Outcome
from support.rendered import rendered

hcl2 = pytest.importorskip("hcl2", reason="not installed: python-hcl2")

MESH = """
name: shop
servers:
  fraud:
    models: models
    timeout: 200ms
    retry: {max_attempts: 2}
    breaker: {consecutive_failures: 4, backoff_base: 500ms}
    balance: {decay: 5s}
    outlier: OUTLIER
    placement: PLACEMENT
apps:
  checkout:
    image: checkout:1
    port: 21000
    listen: 8080
    calls: [fraud]
    copies: {directory: copies}
    environment: {"A.B": "${x} %{y} \\"q\\" \\\\"}
  gateway: {image: "gateway:1", port: 8071, calls: []}
"""


def mesh(placement: str = "{}", outlier: str = "false") -> str:
    return MESH.replace("PLACEMENT", placement).replace("OUTLIER", outlier)


def plain(value: Any) -> Any:
    """As it is read: text without its quotes and escapes, a block that is alone by itself."""
    match value:
        case str() if value.startswith('"'):
            return json.loads(value).replace("$${", "${").replace("%%{", "%{")
        case dict():
            return {plain(name): plain(it) for name, it in value.items() if name != "__is_block__"}
        case list() if len(value) == 1 and isinstance(value[0], dict):
            return plain(value[0])
        case list():
            blocks = [plain(it) for it in value]
            # Blocks of one type, by their labels.
            named = all(isinstance(it, dict) and len(it) == 1 for it in blocks)
            return {name: it for block in blocks for name, it in block.items()} if named else blocks
        case _:
            return value


def groups(folder: Path, text: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    found = rendered(folder, text, files)
    job = plain(hcl2.loads(found["shop.nomad.hcl"]))["job"]["shop"]
    return job["group"], found


def entry(found: Mapping[str, str], name: str, kind: str) -> Any:
    return json.loads(found[f"consul/{name}.{kind}.json"])


def test_a_sidecar_leaves_to_consul_what_it_does(tmp_path: Path) -> None:
    found, files_ = groups(tmp_path, mesh(outlier="{consecutive_failures: 3, base_ejection: 1500ms}"))
    proxy = found["checkout"]["service"]["connect"]["sidecar_service"]["proxy"]
    sidecar = yaml.safe_load(files_["checkout/sidecar.yaml"])
    # The app has 21000 itself.
    assert proxy["upstreams"] == {
        "destination_name": "fraud",
        "local_bind_address": "127.0.0.1",
        "local_bind_port": 21001,
    }
    assert sidecar["tls"] == "mesh"
    assert sidecar["services"]["fraud"] == {
        "endpoints": ["127.0.0.1:21001"],
        "models": ["fraud"],
        "timeout": "200ms",
        "retry": {"max_attempts": 2},
        "breaker": False,
    }
    (override,) = entry(files_, "checkout", "service-defaults")["UpstreamConfig"]["Overrides"]
    assert override["Name"] == "fraud"
    assert override["PassiveHealthCheck"]["MaxFailures"] == 3
    assert override["PassiveHealthCheck"]["BaseEjectionTime"] == "1500ms"
    assert entry(files_, "fraud", "service-resolver")["LoadBalancer"] == {"Policy": "least_request"}
    # Whoever it is, Envoy cuts nobody off after its own 15 s.
    assert {entry(files_, it, "service-resolver")["RequestTimeout"] for it in ("fraud", "checkout")} == {
        "86400s"
    }
    # Nobody but sidecars tries again.
    assert "service-router" not in str(files_)


def test_a_breaker_is_consuls(tmp_path: Path) -> None:
    _, files_ = groups(tmp_path, mesh())
    (override,) = entry(files_, "checkout", "service-defaults")["UpstreamConfig"]["Overrides"]
    assert override["PassiveHealthCheck"]["MaxFailures"] == 4
    assert override["PassiveHealthCheck"]["BaseEjectionTime"] == "500ms"
    _, files_ = groups(tmp_path, mesh().replace("{consecutive_failures: 4, backoff_base: 500ms}", "false"))
    assert "UpstreamConfig" not in entry(files_, "checkout", "service-defaults")


def test_who_may_call_whom(tmp_path: Path) -> None:
    _, files_ = groups(tmp_path, mesh())
    assert entry(files_, "fraud", "service-intentions")["Sources"] == [
        {"Name": "checkout", "Action": "allow"},
        {"Name": "*", "Action": "deny"},
    ]
    assert entry(files_, "fraud", "service-defaults")["Protocol"] == "grpc"
    assert entry(files_, "checkout", "service-defaults")["Protocol"] == "http"
    assert entry(files_, "checkout", "service-intentions")["Sources"] == [{"Name": "*", "Action": "allow"}]


def test_what_is_allowed_is_consuls_to_see(tmp_path: Path) -> None:
    allow = """[
        {identities: "spiffe://shop.local/gateway", paths: ["/orders*", "/one"], methods: POST},
        {identities: "spiffe://shop.local/gateway", paths: "/two"},
        {paths: "/healthz"}]"""
    _, files_ = groups(tmp_path, mesh().replace("calls: [fraud]", f"allow: {allow}"))
    anybody = {"Action": "allow", "HTTP": {"PathExact": "/healthz"}}
    assert entry(files_, "checkout", "service-intentions")["Sources"] == [
        {
            "Name": "gateway",
            "Permissions": [
                {"Action": "allow", "HTTP": {"PathPrefix": "/orders", "Methods": ["POST"]}},
                {"Action": "allow", "HTTP": {"PathExact": "/one", "Methods": ["POST"]}},
                {"Action": "allow", "HTTP": {"PathExact": "/two"}},
                anybody,
            ],
        },
        {"Name": "*", "Permissions": [anybody]},
    ]
    # The sidecar sees the proxy, whoever calls.
    assert "allow" not in yaml.safe_load(files_["checkout/sidecar.yaml"])["inbound"]


@pytest.mark.parametrize("identity", ["spiffe://elsewhere/gateway", "spiffe://shop.local/nobody", "gateway"])
def test_callers_that_consul_does_not_know(tmp_path: Path, identity: str) -> None:
    text = mesh().replace("calls: [fraud]", f"allow: {{identities: '{identity}'}}")
    with pytest.raises(ConfigurationError, match=rf"apps\.checkout: found '{identity}' in `allow`"):
        rendered(tmp_path, text, files)


def test_what_is_exposed_is_open(tmp_path: Path) -> None:
    _, files_ = groups(tmp_path, mesh().replace("timeout: 200ms", "expose: fraud.example.com"))
    assert entry(files_, "fraud", "service-intentions")["Sources"] == [{"Name": "*", "Action": "allow"}]


def test_anybody_of_the_mesh(tmp_path: Path) -> None:
    text = mesh().replace("calls: [fraud]", "allow: {identities: 'spiffe://shop.local/*'}")
    _, files_ = groups(tmp_path, text)
    assert entry(files_, "checkout", "service-intentions")["Sources"] == [{"Name": "*", "Action": "allow"}]


def test_a_server_of_unknown_models_is_closed(tmp_path: Path) -> None:
    _, files_ = groups(tmp_path, mesh().replace("models: models", "models: 's3://bucket/models'"))
    assert entry(files_, "fraud", "service-intentions")["Sources"][-1] == {"Name": "*", "Action": "deny"}


def test_everything_listens_where_only_the_proxy_reaches_it(tmp_path: Path) -> None:
    found, files_ = groups(tmp_path, mesh())
    args = found["fraud"]["task"]["server"]["config"]["args"]
    assert [args[at + 1] for at, word in enumerate(args) if word.endswith("-address")] == ["127.0.0.1"] * 3
    sidecar = yaml.safe_load(files_["checkout/sidecar.yaml"])
    assert sidecar["inbound"]["listen"] == "127.0.0.1:15106"
    assert sidecar["admin"] == "127.0.0.1:15100"


def test_checks_pass_the_proxy_by_single_paths(tmp_path: Path) -> None:
    found, _ = groups(tmp_path, mesh())
    for group, paths in (
        ("fraud", {"/v2/health/ready": 8000, "/v2/health/live": 8000, "/metrics": 8002}),
        ("checkout", {"/ready": 15100, "/live": 15100, "/metrics": 15100}),
    ):
        service = found[group]["service"]
        exposed = service["connect"]["sidecar_service"]["proxy"]["expose"]["path"]
        assert {it["path"]: it["local_path_port"] for it in exposed} == paths
        assert {it["listener_port"] for it in exposed} == found[group]["network"]["port"].keys()
        assert {it["port"] for it in service["check"]} <= found[group]["network"]["port"].keys()


def test_the_sidecar_is_there_first(tmp_path: Path) -> None:
    found, files_ = groups(tmp_path, mesh())
    tasks = found["checkout"]["task"]
    assert tasks["sidecar"]["lifecycle"] == {"hook": "prestart", "sidecar": True}
    assert "lifecycle" not in tasks["app"]
    template = tasks["sidecar"]["template"]
    assert template["data"] == '${file("checkout/sidecar.yaml")}'
    for delimiter in ("left_delimiter", "right_delimiter"):
        assert template[delimiter] not in files_["checkout/sidecar.yaml"]
    assert tasks["sidecar"]["config"]["args"] == ["sidecar", "--config", "/local/sidecar.yaml"]
    assert tasks["app"]["env"] == {
        "PORT": "21000",
        "INFERMESH_URL": "http://127.0.0.1:15101",
        "A.B": '${x} %{y} "q" \\',
    }


def test_volumes_are_the_hosts(tmp_path: Path) -> None:
    found, _ = groups(tmp_path, mesh())
    assert found["fraud"]["volume"] == {
        "models": {"type": "host", "source": "shop-models", "read_only": True}
    }
    assert found["checkout"]["volume"]["copies"]["read_only"] is False
    mount = found["checkout"]["task"]["sidecar"]["volume_mount"]
    assert mount == {"volume": "copies", "destination": "/mnt/copies", "read_only": False}


def test_a_gpu_waits_for_no_canary(tmp_path: Path) -> None:
    found, _ = groups(tmp_path, mesh("{gpu: 2, cpu: 1500m, memory: 3GiB, spread: zone, autoscale: {min: 2}}"))
    assert found["fraud"]["update"].keys().isdisjoint({"canary", "auto_promote"})
    assert found["checkout"]["update"]["canary"] == 1
    resources = found["fraud"]["task"]["server"]["resources"]
    assert resources == {"cpu": 1500, "memory": 3072, "device": {"nvidia/gpu": {"count": 2}}}
    assert found["fraud"]["count"] == 2
    assert found["fraud"]["spread"] == {"attribute": "${node.datacenter}"}


def test_infermeshs_own_are_confined(tmp_path: Path) -> None:
    found, _ = groups(tmp_path, mesh())
    for task in (found["fraud"]["task"]["server"], found["checkout"]["task"]["sidecar"]):
        assert task["user"] == "65532"
        assert task["config"]["readonly_rootfs"] is True
        assert task["config"]["cap_drop"] == ["all"]
    assert found["checkout"]["task"]["app"]["config"].keys() == {"image", "security_opt"}


def test_plaintext_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found `tls: off`, expected `mutual`"):
        rendered(tmp_path, "tls: 'off'\n" + mesh(), files)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "nomad"
    rendered(tmp_path, mesh(), files)
    done = Outcome(capsys, "render", "nomad", tmp_path / "mesh.yaml", "-o", output)
    assert (done.code, done.lines) == (0, [f"12 files in {output}"])


@pytest.mark.skipif(shutil.which("nomad") is None, reason="not installed: nomad")
def test_nomad_takes_it(tmp_path: Path) -> None:
    for path, text in rendered(tmp_path, mesh(), files).items():
        (tmp_path / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / path).write_text(text)
    subprocess.run(["nomad", "job", "validate", "shop.nomad.hcl"], cwd=tmp_path / "out", check=True)
