"""Meshes in a real cluster, by `kubectl apply -k`: asked, changed under load, closed to strangers."""

import json
import math
import time
from collections.abc import Iterator

import pytest
import yaml
from support import cluster
from support.cluster import INSTALLED, SECONDS, SIDECAR, Mesh

pytestmark = [
    pytest.mark.skipif(cluster.missing() is not None, reason=cluster.missing() or ""),
    pytest.mark.timeout(900),
]

#: What the model makes of one, and what that of the canary does.
MAIN, CANARY = "3.0", "5.0"

ASK = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8070/').read().decode())"

#: A call of gRPC by who has no identity, in plaintext; the Envoy beside it, if there is one, makes it HTTP/2.
STRANGE = """
import http.client
connection = http.client.HTTPConnection("scale", 8001, timeout=5)
try:
    path, headers = "/inference.GRPCInferenceService/ServerLive", {"content-type": "application/grpc"}
    connection.request("POST", path, bytes(5), headers)
    answer = connection.getresponse()
    print(answer.getheader("grpc-status"), answer.read())
except (OSError, http.client.HTTPException) as error:
    print("nothing", repr(error))
"""


@pytest.fixture(params=INSTALLED, scope="module")
def mesh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    flavour = request.param
    if not cluster.has(flavour):
        pytest.skip(f"the cluster has no {INSTALLED[flavour]}")
    with cluster.meshed(flavour, tmp_path_factory.mktemp(flavour)) as found:
        yield found


def share(answers: dict[str, int]) -> float:
    """Of the canary; nothing else was answered."""
    assert answers.keys() <= {MAIN, CANARY}, answers
    return answers.get(CANARY, 0) / sum(answers.values())


def bound(share: float, requests: int) -> float:
    """How far from a share so many requests are once in a million times, if each is decided by itself."""
    return 5 * math.sqrt(share * (1 - share) / requests)


def measured(mesh: Mesh, seconds: float) -> dict[str, int]:
    with mesh.load(seconds) as answers:
        pass
    return answers


def test_an_app_asks_a_model(mesh: Mesh) -> None:
    answer = json.loads(mesh.python("deployment/shop", "app", ASK))
    assert answer["outputs"][0]["data"] in ([3.0, 6.0, 9.0, 12.0], [5.0, 10.0, 15.0, 20.0])


def test_a_canary_has_its_share_at_once(mesh: Mesh) -> None:
    answers = measured(mesh, 10)
    assert abs(share(answers) - 0.3) <= bound(0.3, sum(answers.values()))
    mesh.render("5%")
    mesh.apply()
    # The mesh's own proxies are told after the API server has been.
    deadline = time.monotonic() + SECONDS
    while abs(share(answers := measured(mesh, 10)) - 0.05) > bound(0.05, sum(answers.values())):
        assert time.monotonic() < deadline, answers


def test_pods_are_replaced_without_a_failure(mesh: Mesh) -> None:
    with mesh.load(45) as answers:
        mesh.kubectl("rollout", "restart", "deployment/scale", "deployment/scale-canary")
        for name in ("scale", "scale-canary"):
            mesh.roll_out(name)
    assert 0 < share(answers) < 1


def test_a_stranger_is_not_answered(mesh: Mesh) -> None:
    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "namespace": mesh.namespace},
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "stranger",
                    "image": f"{SIDECAR}:test",
                    "command": ["python3", "-c", "import signal; signal.pause()"],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    cluster.kubectl("apply", "-f", "-", given=yaml.safe_dump(stranger))
    mesh.kubectl("wait", "--for=condition=Ready", "pod/stranger", f"--timeout={SECONDS:.0f}s")
    answer = mesh.python("pod/stranger", "stranger", STRANGE).decode()
    # PERMISSION_DENIED or UNAVAILABLE, by whoever is between the two, or no word at all.
    assert answer.startswith(("7 ", "14 ", "nothing")), answer
