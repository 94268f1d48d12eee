"""How an app and its sidecar are started."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from infermesh.description.mesh import Mesh
from infermesh.description.place import Place
from infermesh.description.workload import ADMIN, INBOUND, OUTBOUND, Container, Port, Probe, Workload

from infermesh_sidecar.mesh.app import App
from infermesh_sidecar.mesh.configuration import configuration, text

#: The app's own port.
APP = "app"

#: Of an app that listens where it is told to, in a Pod.
APP_PORT = 8080

FILE = "sidecar.yaml"

#: Memory of a sidecar beside the requests that are under way.
_AT_REST = 192 << 20


def ports(app: App) -> Sequence[Port]:
    """The app's, and its sidecar's."""
    return (
        # None of them is one of Istio's, Linkerd's or Consul's, whose proxies share a Pod's ports with them.
        Port(INBOUND, 15106, "http", fixed=app.listen),
        Port(OUTBOUND, 15101, "grpc", "itself", fixed=app.outbound),
        Port(ADMIN, 15100, "http", "operators"),
        Port(APP, app.port or APP_PORT, "http", "itself", fixed=app.port, is_foreign=not app.run),
    )


@dataclass(frozen=True, kw_only=True)
class AppWorkload(Workload):
    """An app with its sidecar."""

    app: App
    mesh: Mesh
    #: All of the mesh, once they are known.
    others: Mapping[str, Workload]

    def called(self) -> Sequence[Workload]:
        """Those that it calls."""
        return [self.others[name] for name in self.calls if name in self.others]

    def containers(self, place: Place) -> Sequence[Container]:
        """The app, and the sidecar that is there before it and after it."""
        sidecar = Container(
            name="sidecar",
            image="sidecar",
            command=("sidecar", "--config", place.file(FILE)),
            is_ours=True,
            is_sidecar=True,
            files={FILE: text(configuration(self.name, self.app, self.called(), self.mesh, place))},
            ports=[port.name for port in self.ports if port.name != APP],
            ready=Probe(ADMIN, "/ready"),
            alive=Probe(ADMIN, "/live"),
            memory=self.app.limits.memory + self.app.limits.replay + _AT_REST,
            writes=[place.path(self.app.copies.directory)] if self.app.copies else [],
            grace=self.app.shutdown.drain_timeout + self.app.shutdown.drain_delay + timedelta(seconds=5),
        )
        return [self._app(place), sidecar] if self.app.run or self.app.image else [sidecar]

    def _app(self, place: Place) -> Container:
        port = str(place.number(APP))
        words = shlex.split(self.app.run[0]) if len(self.app.run) == 1 else self.app.run
        outbound = {"INFERMESH_URL": f"http://{place.listen(OUTBOUND)}"} if self.called() else {}
        health = self.app.health
        return Container(
            name=APP,
            image=self.app.image or "",
            command=[word.replace("{port}", port) for word in words],
            is_ours=False,
            environment={"PORT": port, **outbound, **self.app.environment},
            ports=[APP],
            ready=Probe(APP, health) if health else Probe(APP, None, "tcp"),
            directory=self.app.directory,
        )
