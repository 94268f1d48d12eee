"""Pods: what runs in them, how they begin, are watched and end, and who reaches them."""

from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from infermesh.deploy.kubernetes.flavours.known import FLAVOURS
from infermesh_servers.model.command import serve
from support.kubernetes_render import MESH, Manifests, rendered
from typer.main import get_command


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    return rendered(tmp_path, "none")


def container(manifests: Manifests, name: str) -> dict[str, Any]:
    found: dict[str, Any] = manifests.pod(name)["containers"][0]
    return found


def native_sidecar(manifests: Manifests, name: str) -> dict[str, Any]:
    found: dict[str, Any] = manifests.pod(name)["initContainers"][0]
    return found


def test_a_sidecar_is_there_before_its_app_and_after_it(manifests: Manifests) -> None:
    sidecar = native_sidecar(manifests, "shop")
    assert sidecar["restartPolicy"] == "Always"
    # Its readiness waits for the app, which is started only after this.
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/live"
    assert sidecar["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert "cpu" not in sidecar["resources"]["limits"]
    assert "memory" in sidecar["resources"]["limits"]
    assert sidecar["args"] == ["sidecar", "--config", "/etc/infermesh/sidecar.yaml"]
    assert sidecar["image"] == "infermesh/sidecar:1.2"


def test_an_app_is_its_image(manifests: Manifests) -> None:
    app = container(manifests, "shop")
    assert app["image"] == "registry.example/shop:7"
    # `run` is for this machine; and kubelet does not come to where the app listens.
    assert not {"command", "args", "readinessProbe", "startupProbe", "ports"} & app.keys()
    assert {"name": "INFERMESH_URL", "value": "http://127.0.0.1:15101"} in app["env"]


def test_nobody_is_killed_who_still_answers(manifests: Manifests) -> None:
    """Other Pods hear of it, then the app ends, then its sidecar."""
    drained = 2 + 20 + 5
    assert manifests.pod("shop")["terminationGracePeriodSeconds"] > 5 + 30 + drained
    # Its longest request is longer than what a server gives requests by itself.
    assert manifests.pod("fraud")["terminationGracePeriodSeconds"] > 5 + 90
    for name in ("shop", "fraud"):
        assert container(manifests, name)["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}


def test_what_is_temporary_is_not_shared(manifests: Manifests) -> None:
    """All of a Pod's containers may write to a volume that they have in common."""
    found = [
        next(it["name"] for it in one["volumeMounts"] if it["mountPath"] == "/tmp")
        for one in (container(manifests, "shop"), native_sidecar(manifests, "shop"))
    ]
    volumes = {it["name"]: it for it in manifests.pod("shop")["volumes"]}
    assert len({*found}) == 2
    assert all(volumes[name] == {"name": name, "emptyDir": {}} for name in found)


def test_a_gpu_is_waited_for_by_nobody(manifests: Manifests) -> None:
    fraud = manifests.one("Deployment", "fraud")["spec"]
    assert fraud["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert container(manifests, "fraud")["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 1}
    assert container(manifests, "fraud")["image"] == "infermesh/server-cuda:1.2"
    assert manifests.pod("fraud")["tolerations"][0]["key"] == "nvidia.com/gpu"
    spread = manifests.pod("fraud")["topologySpreadConstraints"][0]
    assert spread["topologyKey"] == "topology.kubernetes.io/zone"
    ranking = manifests.one("Deployment", "ranking")["spec"]
    assert ranking["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "tolerations" not in manifests.pod("ranking")


def test_who_scales_owns_the_number(manifests: Manifests) -> None:
    assert manifests.one("Deployment", "fraud")["spec"]["replicas"] == 3
    assert "replicas" not in manifests.one("Deployment", "ranking")["spec"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_nobody_may_more_than_he_needs(tmp_path: Path, flavour: str) -> None:
    manifests = rendered(tmp_path, flavour)
    for name in ("fraud", "ranking", "shop", "worker"):
        pod = manifests.pod(name)
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for it in [*pod.get("initContainers", []), *pod["containers"]]:
            security = it["securityContext"]
            assert security["runAsNonRoot"] is True
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_all_that_is_mounted_is_there(tmp_path: Path, flavour: str) -> None:
    manifests = rendered(tmp_path, flavour)
    made = yaml.safe_load((manifests.folder / "kustomization.yaml").read_text())["configMapGenerator"]
    maps = {it["name"] for it in made}
    secrets = {it["spec"]["secretName"] for it in manifests.objects if it["kind"] == "Certificate"}
    claims = {it["metadata"]["name"] for it in manifests.objects if it["kind"] == "PersistentVolumeClaim"}
    for name in ("fraud", "ranking", "shop", "worker"):
        pod = manifests.pod(name)
        volumes = {it["name"]: it for it in pod["volumes"]}
        for it in [*pod.get("initContainers", []), *pod["containers"]]:
            assert {mount["name"] for mount in it["volumeMounts"]} <= volumes.keys()
        for volume in volumes.values():
            assert volume.get("configMap", {}).get("name") in {*maps, None}
            assert volume.get("secret", {}).get("secretName") in {*secrets, None}
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in {*claims, None}
    assert all((manifests.folder / file).is_file() for it in made for file in it["files"])


def test_models_are_mounted_and_urls_are_not(manifests: Manifests) -> None:
    assert "/var/lib/infermesh/models" in container(manifests, "fraud")["args"]
    mount = {
        "name": "data-models",
        "mountPath": "/var/lib/infermesh/models",
        "subPath": "models",
        "readOnly": True,
    }
    assert mount in container(manifests, "fraud")["volumeMounts"]
    assert "s3://models/ranking" in container(manifests, "ranking")["args"]
    assert not any("persistentVolumeClaim" in it for it in manifests.pod("ranking")["volumes"])


def test_folders_of_one_name_are_not_confused(tmp_path: Path) -> None:
    text = MESH.replace("models: models\n", "models: [models, other/models]\n")
    (tmp_path / "other/models").mkdir(parents=True)
    found = container(rendered(tmp_path, "none", text), "fraud")["volumeMounts"]
    mounted = [it["mountPath"] for it in found if it["mountPath"].startswith("/var/lib/infermesh")]
    assert len(set(mounted)) == 2


def test_copies_are_written_to_a_volume(manifests: Manifests) -> None:
    sidecar = yaml.safe_load(manifests.sidecar("shop").read_text())
    place = sidecar["capture"]["directory"]
    mounts = {it["mountPath"]: it for it in native_sidecar(manifests, "shop")["volumeMounts"]}
    assert "readOnly" not in mounts[place]
    volumes = {it["name"]: it for it in manifests.pod("shop")["volumes"]}
    assert "emptyDir" in volumes[mounts[place]["name"]]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", ["fraud", "ranking"])
def test_serve_takes_its_arguments(tmp_path: Path, flavour: str, name: str) -> None:
    app = typer.Typer()
    app.command()(serve)
    command, *arguments = container(rendered(tmp_path, flavour), name)["args"]
    given = get_command(app).make_context(command, arguments).params
    assert given["grpc_port"] == 8001
    assert given["grpc_use_ssl_mutual"] == (flavour == "none")


def test_identities_are_those_that_callers_expect(manifests: Manifests) -> None:
    expected = yaml.safe_load(manifests.sidecar("shop").read_text())["services"]["fraud"]["identities"]
    certificate = manifests.one("Certificate", "fraud-identity")["spec"]
    assert certificate["uris"] == expected == ["spiffe://checkout.local/fraud"]


def peers(manifests: Manifests, name: str, port: int) -> list[dict[str, Any]]:
    rules = manifests.one("NetworkPolicy", name)["spec"]["ingress"]
    found = [rule for rule in rules if port in [it["port"] for it in rule["ports"]]]
    return [peer for rule in found for peer in rule["from"]]


def test_nobody_else_is_let_in(manifests: Manifests) -> None:
    nobody = manifests.one("NetworkPolicy", "infermesh-nobody")["spec"]
    assert nobody == {"podSelector": {}, "policyTypes": ["Ingress"]}
    named = [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}} for name in ("shop", "worker")
    ]
    assert peers(manifests, "ranking", 8001) == named
    assert peers(manifests, "worker", 15106) == [{"podSelector": {}}]
    assert peers(manifests, "shop", 15106) == [{"namespaceSelector": {}}]
    monitoring = {"kubernetes.io/metadata.name": "monitoring"}
    assert peers(manifests, "ranking", 8002) == [{"namespaceSelector": {"matchLabels": monitoring}}]
    assert peers(manifests, "shop", 15101) == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_proxies_reach_each_other(tmp_path: Path, flavour: str) -> None:
    manifests = rendered(tmp_path, flavour)
    for port in FLAVOURS[flavour].peer_ports:
        assert peers(manifests, "ranking", port) == peers(manifests, "ranking", 8001) != []


def test_ways_in(manifests: Manifests) -> None:
    ingress = manifests.one("Ingress", "shop")["spec"]
    assert ingress["rules"][0]["host"] == "shop.example.com"
    ports = [it["name"] for it in manifests.one("Service", "shop")["spec"]["ports"]]
    backend = ingress["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "shop", "port": {"name": ports[0]}}
    route = manifests.one("GRPCRoute", "fraud-outside")["spec"]
    assert route["hostnames"] == ["models.example.com"]
    assert not manifests.has("Ingress", "worker")
