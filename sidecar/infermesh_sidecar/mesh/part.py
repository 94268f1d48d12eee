"""The field `apps`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infermesh.description.mesh import Label, Mesh
from infermesh.description.place import Duty, Reach
from infermesh.description.workload import GRPC, Allowance, Workload
from infermesh.remarks import BrokenRule, Path
from infermesh.settings.validate import close_to
from pydantic import Field

from infermesh_sidecar.mesh.app import App
from infermesh_sidecar.mesh.configuration import configuration
from infermesh_sidecar.mesh.workload import AppWorkload, ports
from infermesh_sidecar.settings.rules import broken_rules
from infermesh_sidecar.settings.sidecar import Sidecar


class Apps:
    """Apps by name."""

    field = "apps"
    stage = 1
    annotation: Any = (
        dict[Label, App],
        Field(default={}, description="Apps that know nothing of the mesh, each with a sidecar."),
    )

    def workloads(
        self, section: Mapping[str, App], mesh: Mesh, others: Mapping[str, Workload]
    ) -> Iterator[Workload]:
        """One for each."""
        for name, app in section.items():
            calls = _servers(others) if app.calls is None else app.calls
            yield AppWorkload(
                name=name,
                kind="app",
                placement=app.placement,
                objective=app.objective,
                ports=ports(app),
                calls=_with_shares(calls, others),
                allow=[Allowance(it.identities, it.paths, it.methods) for it in app.allow or []],
                exposed=app.expose,
                app=app,
                mesh=mesh,
                others=others,
            )

    def broken_rules(
        self, section: Mapping[str, App], workloads: Mapping[str, Workload], mesh: Mesh
    ) -> Iterator[BrokenRule]:
        """Calls of nobody, and what a sidecar's own configuration would refuse."""
        for name, app in section.items():
            if app.port is None and not app.run and not app.image:
                text = "found neither run, image nor port, expected how it is started, or where it listens"
                yield BrokenRule((name,), text)
            known = _servers(workloads)
            for index, called in enumerate(app.calls or []):
                if called not in known:
                    text = f"found {called!r}, which is no server, expected {close_to(called, known)}"
                    yield BrokenRule((name, "calls", index), text)
            found = workloads.get(name)
            if isinstance(found, AppWorkload):
                given = configuration(name, app, found.called(), mesh, _Anywhere())
                for rule in broken_rules(Sidecar.model_validate(given)):
                    yield BrokenRule((name, *_in_mesh(rule.path)), rule.text)


def _servers(workloads: Mapping[str, Workload]) -> list[str]:
    """Who can be called. What models they have is not known of all: it may be said in a repository on S3.

    Who takes a share of the requests to others is called with them.
    """
    shared = {name for it in workloads.values() for name in it.split}
    return [it.name for it in workloads.values() if it.has_port(GRPC) and it.name not in shared]


def _with_shares(calls: Sequence[str], workloads: Mapping[str, Workload]) -> list[str]:
    """Those that are called, each with those that take a share of the requests to it."""
    return [
        name
        for called in calls
        for name in (called, *(workloads[called].split if called in workloads else ()))
    ]


class _Anywhere:
    """Some place, for those who only look whether all fits together."""

    identity = "identity"
    is_private = False
    duties: frozenset[Duty] = frozenset()

    def listen(self, port: str) -> str:
        return f"127.0.0.1:{self.number(port)}"

    def number(self, port: str) -> int:
        return 1 + sum(port.encode())

    def reach(self, workload: str, port: str) -> Reach:
        return Reach(dns=f"{workload}:{self.number(port)}")

    def path(self, given: str) -> str:
        return given

    def file(self, name: str) -> str:
        return name


def _in_mesh(path: Path) -> Path:
    """Where mesh.yaml says what sidecar.yaml has at a path."""
    match path:
        case ("inbound", 0, *rest):
            return tuple(rest)
        case ("capture", *rest):
            return ("copies", *rest)
        case ("services" | "outbound" | "identity", *_):
            return ()
        case _:
            return path


APPS = Apps()
