"""A mesh of one server and one app that runs, with identities, as mesh.yaml says it."""

import contextlib
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infermesh.description.place import Duty, Reach
from infermesh.description.read import Description, read
from infermesh.description.workload import ADMIN, OUTBOUND
from infermesh.identity import store
from infermesh.identity.authority import Authority
from infermesh.identity.request import Request

from support import onnx_models
from support.client import Client
from support.echo_app import echoing
from support.repository import Repository
from support.server import Server
from support.sidecar import Sidecar

MESH = """\
name: shop
servers:
  fraud:
    models: models
    timeout: 20s
    cache: true
    concurrency: true
    admission: true
    arguments: [--cache-config, "local,size=1048576", --log-verbose, "1"]
apps:
  checkout:
    port: 5000
    log: {format: json, requests: true}
    objective: {latency: 20s}
"""
CACHED = "response_cache { enable: true }"


@dataclass(frozen=True)
class Loopback:
    """A place on this machine, with any ports that are free."""

    folder: Path
    known: Mapping[str, int] = field(default_factory=dict)
    #: Where the others are.
    others: Mapping[str, str] = field(default_factory=dict)

    is_private = True
    duties: frozenset[Duty] = frozenset()

    @property
    def identity(self) -> str:
        return str(self.folder / "identity")

    def listen(self, port: str) -> str:
        return f"127.0.0.1:{self.number(port)}"

    def number(self, port: str) -> int:
        return self.known.get(port, 0)

    def reach(self, workload: str, _port: str) -> Reach:
        return Reach(endpoints=[self.others[workload]])

    def path(self, given: str) -> str:
        return str(self.folder.parent / given)

    def file(self, name: str) -> str:
        return str(self.folder / name)


@dataclass(frozen=True)
class SmallMesh:
    """The mesh while it runs."""

    description: Description
    server: Server
    sidecar: Sidecar
    #: Of what the sidecar takes from its app.
    client: Client

    @property
    def targets(self) -> dict[str, list[str]]:
        """Where metrics are, by workload."""
        ports = {"fraud": self.server.metrics_port, "checkout": self.sidecar.port(ADMIN)}
        return {name: [f"127.0.0.1:{port}"] for name, port in ports.items()}


@contextlib.contextmanager
def small_mesh(folder: Path) -> Iterator[SmallMesh]:
    """The mesh for as long as the block lasts, ready."""
    Repository.make(folder / "models").onnx("scale", onnx_models.scale(3.0, ("n", 1)), config=CACHED)
    file = folder / "mesh.yaml"
    file.write_text(MESH)
    description = read(file)
    authority = Authority.create(description.mesh.domain, datetime.datetime.now(datetime.UTC))
    for name in description.workloads:
        request = Request.of(authority.trust_domain, name, ["localhost"])
        identity = authority.issue(request, datetime.datetime.now(datetime.UTC))
        store.save_identity(folder / name / "identity", identity, authority)
    with contextlib.ExitStack() as ends:
        (container,) = description.workloads["fraud"].containers(Loopback(folder / "fraud"))
        server = Server(*container.command[1:])
        ends.callback(server.kill)
        server.wait_ready()
        app = ends.enter_context(echoing())
        place = Loopback(folder / "checkout", {"app": app}, {"fraud": f"127.0.0.1:{server.port}"})
        (container,) = description.workloads["checkout"].containers(place)
        for name, text in container.files.items():
            Path(place.file(name)).write_text(text)
        sidecar = Sidecar(*container.command[1:])
        ends.callback(sidecar.kill)
        sidecar.wait_for("sidecar-ready")
        client = ends.enter_context(Client(f"127.0.0.1:{sidecar.port(OUTBOUND)}"))
        yield SmallMesh(description, server, sidecar, client)
