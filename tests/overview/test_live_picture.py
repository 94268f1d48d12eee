"""The picture of a mesh of real processes: a model server, and an app's sidecar that asks it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from infermesh.overview.collect import Collector
from infermesh.overview.targets import Target
from infermesh.overview.view import CALLERS, Edge, Overview
from infermesh_perf.processes import free_ports
from support import onnx_models
from support.client import Client, floats, request, status
from support.echo_app import ask, echoing
from support.repository import Repository
from support.rest import HTTP
from support.server import Server
from support.sidecar import Sidecar, until, write_config


@dataclass
class Mesh:
    """Both of them, and where they listen."""

    server: Server
    sidecar: Sidecar
    repository: Repository
    ports: list[int]

    def targets(self) -> list[Target]:
        rpc, http, metrics = self.ports
        return [
            Target(
                "fraud",
                "fraud",
                "server",
                models=["scale"],
                http=f"http://127.0.0.1:{http}",
                metrics=f"http://127.0.0.1:{metrics}/metrics",
                address=f"127.0.0.1:{rpc}",
            ),
            Target(
                "shop",
                "shop",
                "app",
                calls=["fraud"],
                admin=f"http://127.0.0.1:{self.sidecar.port('admin')}",
            ),
        ]

    def infer(self, count: int, rows: int = 1) -> None:
        """Ask the model so often, through the sidecar."""
        with Client(f"127.0.0.1:{self.sidecar.port('outbound')}") as client:
            for _ in range(count):
                client.infer(request("scale", x=floats(rows, 1)))

    def restart(self) -> None:
        """End the server at once, and begin its next life on the same ports."""
        self.server.kill()
        self.server = _server(self.repository, self.ports)
        self.server.wait_ready()


def _server(repository: Repository, ports: list[int]) -> Server:
    rpc, http, metrics = map(str, ports)
    return Server(
        *(
            repository.root,
            "--grpc-address",
            "127.0.0.1",
            "--grpc-port",
            rpc,
            *HTTP[:2],
            "--http-port",
            http,
        ),
        *("--metrics-address", "127.0.0.1", "--metrics-port", metrics),
    )


@contextmanager
def running(folder: Path) -> Iterator[Mesh]:
    """A mesh for as long as the block lasts."""
    repository = Repository.make(folder / "repository")
    repository.onnx(
        "scale", onnx_models.scale(3.0, ("n", 1)), config="max_batch_size: 8\ndynamic_batching {}\n"
    )
    ports = list(free_ports(3))
    with echoing() as app:
        settings = {
            "tls": "off",
            "services": {
                "fraud": {
                    "endpoints": f"127.0.0.1:{ports[0]}",
                    "models": "scale",
                    "retry": False,
                    "breaker": True,
                }
            },
            "inbound": {"listen": "127.0.0.1:0", "app": f"127.0.0.1:{app}"},
            "outbound": {"listen": "127.0.0.1:0"},
        }
        server = _server(repository, ports)
        sidecar = Sidecar("--config", write_config(folder, name="shop", **settings))
        mesh = Mesh(server, sidecar, repository, ports)
        try:
            mesh.server.wait_ready()
            sidecar.wait_for("sidecar-ready")
            yield mesh
        finally:
            sidecar.kill()
            if mesh.server.running:
                mesh.server.kill()


def edge(overview: Overview, source: str, target: str) -> Edge:
    return next(it for it in overview.edges if (it.source, it.target) == (source, target))


def states(overview: Overview) -> dict[str, str]:
    return {it.name: it.state for workload in overview.workloads for it in workload.instances}


def test_what_goes_on_is_seen(tmp_path: Path) -> None:
    with running(tmp_path) as mesh:
        collector = Collector(mesh.targets, name="real")
        first = asyncio.run(collector.once())
        assert states(first) == {"fraud": "ready", "shop": "ready"}
        assert edge(first, "shop", "fraud").traffic.rate is None

        mesh.infer(40, rows=3)
        assert ask(mesh.sidecar.port("inbound"), "/orders", {"a": 1})[0] == 200
        found = asyncio.run(collector.once())

        call = edge(found, "shop", "fraud")
        assert call.traffic.rate is not None
        assert call.traffic.rate > 0
        assert call.traffic.success == 1.0
        assert call.traffic.p99_ms is not None
        assert call.breaker == "closed"
        assert [it.address for it in call.endpoints] == [f"127.0.0.1:{mesh.ports[0]}"]
        assert (edge(found, CALLERS, "shop").traffic.rate or 0) > 0
        (model,) = found.workloads[0].models
        assert (model.name, model.version, model.state) == ("scale", "1", "READY")
        # Rows 3 are in the bucket up to 4.
        assert [(it.rows, it.count) for it in model.batches][-1] == (4.0, 40.0)


def test_a_server_that_is_gone_is_seen_and_so_is_its_next_life(tmp_path: Path) -> None:
    with running(tmp_path) as mesh:
        collector = Collector(mesh.targets)
        asyncio.run(collector.once())
        mesh.infer(40)
        mesh.server.kill()
        gone = asyncio.run(collector.once())
        assert states(gone) == {"fraud": "silent", "shop": "ready"}
        problem = gone.workloads[0].instances[0].problem
        assert problem is not None
        assert "refused" in problem
        assert gone.workloads[0].models[0].state == "UNKNOWN"

        mesh.restart()

        until(lambda: is_answered(mesh))
        back = asyncio.run(collector.once())
        assert states(back)["fraud"] == "ready"
        # The counters of the new life are below those of the old one.
        rate = back.workloads[0].models[0].traffic.rate
        assert rate is None or rate >= 0


def is_answered(mesh: Mesh) -> bool:
    """Whether the sidecar has found the new server."""
    try:
        mesh.infer(1)
    except grpc.RpcError as error:
        return status(error)[0] is not grpc.StatusCode.UNAVAILABLE
    return True


def test_a_server_that_hangs_keeps_nobody_waiting(tmp_path: Path) -> None:
    with running(tmp_path) as mesh:
        mesh.server.freeze()
        try:
            found = asyncio.run(Collector(mesh.targets).once())
        finally:
            mesh.server.thaw()
        assert states(found) == {"fraud": "silent", "shop": "ready"}
