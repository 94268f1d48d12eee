"""`infermesh render compose`: what it writes is run by podman-compose, and requests pass through it."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import podman
from support.container_mesh import infermesh, make_images, make_mesh
from support.podman import Podman

# Debian's podman-compose is too old to read health checks right.
pytest.importorskip("podman_compose", reason="not installed: podman-compose, from PyPI")

TOOLS = ("runc", "aardvark-dns")

pytestmark = [
    pytest.mark.skipif(podman.missing(*TOOLS) is not None, reason=podman.missing(*TOOLS) or ""),
    pytest.mark.timeout(400),
]

NAME = f"infermesh-test-{os.getpid()}"

#: Somebody who is not root.
USER = 65532

SECONDS = 60


class Project:
    """What was rendered, and what became of it."""

    def __init__(self, folder: Path, engine: Podman) -> None:
        self.folder = folder
        self.engine = engine
        self.said: dict[str, Any] = yaml.safe_load((folder / "compose.yaml").read_text())

    def __call__(self, *arguments: object) -> str:
        files = ("-f", "compose.yaml", "-f", "compose.override.yaml")
        environment = {**self.engine.environment, "INFERMESH_USER": f"{USER}:{USER}"}
        done = subprocess.run(
            [sys.executable, "-m", "podman_compose", *files, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def containers(self, service: str = "") -> list[str]:
        """Their names, those of one service or all."""
        asked = ("--filter", f"label=com.docker.compose.service={service}") if service else ()
        return self.engine("ps", "--all", *asked, "--format", "{{.Names}}").split()

    def address(self, service: str, port: int) -> str:
        """Where this machine has a port of it."""
        (container,) = self.containers(service)
        return self.engine("port", container, f"{port}/tcp")

    def wait_healthy(self) -> None:
        """Runs the health checks of all, as a timer of systemd would, until all succeed."""
        ends = time.monotonic() + SECONDS
        for container in self.containers():
            if self.said["services"][self.service(container)].get("healthcheck") is None:
                continue
            while (done := self.engine.run("healthcheck", "run", container)).returncode:
                assert time.monotonic() < ends, f"{container}: {done.stdout!r} {self.log(container)}"

    def service(self, container: str) -> str:
        asked = '{{index .Config.Labels "com.docker.compose.service"}}'
        return self.engine("inspect", "--format", asked, container)

    def log(self, container: str) -> str:
        done = self.engine.run("logs", container)
        return (done.stdout + done.stderr).decode()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    engine = Podman(tmp_path_factory.mktemp("podman") / "store")
    try:
        make_images(engine)
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def project(engine: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A mesh that runs: two servers behind one name, and an app with a sidecar, twice."""
    folder = tmp_path_factory.mktemp("mesh")
    make_mesh(folder, NAME, environment={"PRICE": "5$"}, placement={"replicas": 2})
    infermesh(folder, "identity", "init", "--trust-domain", f"{NAME}.local")
    for name in ("scale", "shop"):
        infermesh(folder, "identity", "issue", name)
        for place, folders, files in os.walk(folder / ".infermesh/identity" / name):
            for it in (place, *(os.path.join(place, name) for name in folders + files)):
                os.chown(it, USER, USER, follow_symlinks=False)
    infermesh(folder, "render", "compose", "--output", "out")
    project = Project(folder / "out", engine)
    _mount_python(project)
    try:
        project("up", "--detach")
        project.wait_healthy()
        yield project
    finally:
        project("down", "--timeout", 1)


def _mount_python(project: Project) -> None:
    """What an image of infermesh would hold, and this one has from the machine."""
    more = {
        "volumes": [f"{it}:{it}:ro" for it in podman.mounts()],
        "environment": {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
    }
    override = {"services": dict.fromkeys(project.said["services"], more)}
    (project.folder / "compose.override.yaml").write_text(yaml.safe_dump(override))


def answers(address: str) -> Any:
    """What the app says, once it is there: of a sidecar, life alone has been waited for."""
    ends = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/score", timeout=20) as answer:
                return json.load(answer)
        except OSError:
            assert time.monotonic() < ends


@pytest.mark.parametrize("app", ["shop", "shop-2"])
def test_requests_pass(project: Project, app: str) -> None:
    answer = answers(project.address(f"{app}-sidecar", 15106))
    assert answer["outputs"][0]["data"] == [3, 6, 9, 12]


def test_all_replicas_are_called(project: Project) -> None:
    address = project.address("shop-sidecar", 15106)
    answers(address)
    for _ in range(100):
        answers(address)
    servers = project.containers("scale")
    assert len(servers) == 2
    for server in servers:
        script = (
            "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8002/metrics').read().decode())"
        )
        metrics = project.engine("exec", server, "python", "-c", script)
        (line,) = [it for it in metrics.splitlines() if it.startswith("nv_inference_request_success{")]
        assert float(line.split()[-1]) > 0


def test_a_name_is_everybodys_of_it(project: Project) -> None:
    script = "import socket; print(*sorted({it[4][0] for it in socket.getaddrinfo('NAME', 1)}))"
    for name, asker in (("scale", "shop-sidecar"), ("shop", "scale")):
        container = project.containers(asker)[0]
        found = project.engine("exec", container, "python", "-c", script.replace("NAME", name))
        assert len(found.split()) == 2, name


def test_containers_can_do_little(project: Project) -> None:
    script = "import os; print(os.getuid()); open('/tmp/x', 'w'); open('/etc/x', 'w')"
    for service in ("scale", "shop-sidecar"):
        done = project.engine.run("exec", project.containers(service)[0], "python", "-c", script)
        assert done.stdout.decode().split() == [str(USER)]
        assert b"Read-only file system: '/etc/x'" in done.stderr
        status = project.engine("exec", project.containers(service)[0], "grep", "Cap", "/proc/self/status")
        assert {int(line.split()[1], 16) for line in status.splitlines()} == {0}


def test_memory_is_limited(project: Project) -> None:
    for service, expected in (("scale", 1 << 30), ("shop-sidecar", 512 << 20)):
        container = project.containers(service)[0]
        assert int(project.engine("inspect", "--format", "{{.HostConfig.Memory}}", container)) == expected


def test_values_are_not_taken_for_variables(project: Project) -> None:
    (app,) = project.containers("shop")
    assert "PRICE=5$" in project.engine("exec", app, "env").splitlines()


def test_the_app_joins_the_sidecars_network(project: Project) -> None:
    (sidecar,), (app,) = project.containers("shop-sidecar"), project.containers("shop")
    found = [project.engine("exec", it, "readlink", "/proc/self/ns/net") for it in (sidecar, app)]
    assert found[0] == found[1]


def test_they_end_in_order(project: Project) -> None:
    """Last of all: what runs is stopped, and ends as after SIGTERM that was obeyed."""
    project("stop")
    for container in project.containers():
        if project.service(container) in ("shop", "shop-2"):
            continue
        assert project.engine("inspect", "--format", "{{.State.ExitCode}}", container) == "0"


@pytest.mark.skipif(shutil.which("docker") is None, reason="not installed: docker")
def test_docker_understands_it(project: Project) -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose here")
    subprocess.run(["docker", "compose", "config", "--quiet"], cwd=project.folder, check=True)
