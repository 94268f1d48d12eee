"""How a model server of a mesh is started."""

from collections.abc import Sequence
from dataclasses import dataclass

from infermesh.description.place import Place
from infermesh.description.workload import GRPC, HTTP, METRICS, Container, Port, Probe, Workload
from infermesh.identity.layout import OWN
from infermesh.settings.values import split_address

from infermesh_servers.mesh.server import FixedPorts, Server


def ports(fixed: FixedPorts) -> Sequence[Port]:
    """Triton's. REST is not encrypted, and so for probes and operators only."""
    return (
        Port(GRPC, 8001, "grpc", fixed=fixed.grpc),
        Port(HTTP, 8000, "http", "operators", fixed=fixed.http),
        Port(METRICS, 8002, "http", "operators", fixed=fixed.metrics),
    )


@dataclass(frozen=True, kw_only=True)
class ServerWorkload(Workload):
    """A model server."""

    server: Server
    #: Of its image, if that is said of it alone.
    tag: str | None = None
    #: Where traces go, if anywhere.
    collector: str | None = None

    def containers(self, place: Place) -> Sequence[Container]:
        """The server alone."""
        command = ["serve", *map(place.path, self.server.models)]
        for port in self.ports:
            host, _ = split_address(place.listen(port.name)) or ("", 0)
            command += [f"--{port.name}-address", host, f"--{port.name}-port", str(place.number(port.name))]
        if self.server.load:
            command += ["--model-control-mode", "explicit"]
            command += [word for name in self.server.load for word in ("--load-model", name)]
        if place.identity is not None:
            command += [
                "--grpc-use-ssl-mutual",
                *("--grpc-server-cert", f"{place.identity}/{OWN.certificate}"),
                *("--grpc-server-key", f"{place.identity}/{OWN.key}"),
                *("--grpc-root-cert", f"{place.identity}/{OWN.bundle}"),
            ]
        return [
            Container(
                name="server",
                image="server_gpu" if self.placement.gpu else "server",
                command=(*command, *self.server.arguments),
                is_ours=True,
                tag=self.tag,
                environment={**self._telemetry(), **self.server.environment},
                ports=[port.name for port in self.ports],
                ready=Probe(HTTP, "/v2/health/ready"),
                alive=Probe(HTTP, "/v2/health/live"),
            )
        ]

    def _telemetry(self) -> dict[str, str]:
        """Whose its log and its traces are, and where these go."""
        where = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": self.collector} if self.collector else {}
        return {"OTEL_SERVICE_NAME": self.name, **where}
