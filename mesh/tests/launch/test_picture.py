"""What the live picture is told of processes here."""

from pathlib import Path

import pytest
from infermesh.description.read import read
from infermesh.launch.instance import Instance, Site
from infermesh.launch.picture import states, targets
from infermesh.launch.ports import assign
from infermesh.launch.process import Command, Probe, Process, State
from infermesh.launch.supervisor import Member
from infermesh.overview.targets import InstanceState

MESH = "models: models\napps: {shop: {port: 5000, run: python app.py}}\n"


def members(folder: Path) -> dict[str, Member]:
    (folder / "models" / "fraud" / "1").mkdir(parents=True)
    (folder / "mesh.yaml").write_text(MESH)
    workloads = read(folder / "mesh.yaml").workloads
    ports = assign(list(workloads.values()), folder / "ports.json")
    site = Site(folder, folder, ports, workloads, mutual=True)
    return {
        name: Member(Instance(site, workload, 0), [process(folder, it) for it in names])
        for (name, workload), names in zip(
            workloads.items(), [["models"], ["shop/sidecar", "shop/app"]], strict=True
        )
    }


def process(folder: Path, name: str) -> Process:
    probe = Probe(1, None)
    return Process(Command(name, ["true"], folder, {}, probe, probe, 1.0), lambda _name, _line: None)


def test_everybody_is_asked_where_he_listens(tmp_path: Path) -> None:
    found = members(tmp_path)
    models, shop = targets(list(found.values()))
    assert (models.workload, models.kind, models.models) == ("models", "server", ["fraud"])
    server = found["models"].instance
    assert models.http == f"http://{server.listen('http')}"
    assert models.metrics == f"http://{server.listen('metrics')}/metrics"
    assert models.address == server.listen("grpc")
    assert models.admin is None
    assert (shop.kind, list(shop.calls)) == ("app", ["models"])
    assert shop.admin == f"http://{found['shop'].instance.listen('admin')}"
    assert shop.address == found["shop"].instance.listen("inbound")
    assert (shop.http, shop.metrics) == (None, None)


@pytest.mark.parametrize(
    ("sidecar", "app", "expected"),
    [
        (State.READY, State.READY, InstanceState("running", 3)),
        (State.READY, State.UNREADY, InstanceState("unready", 3, "shop/app is not ready")),
        (State.UNREADY, State.STARTING, InstanceState("starting", 3, "shop/app is starting")),
        (State.PAUSED, State.READY, InstanceState("restarting", 3, "shop/sidecar is restarting")),
        (State.ENDED, State.ENDING, InstanceState("ended", 3, "shop/sidecar is ended")),
    ],
)
def test_an_instance_is_as_the_worst_of_its_processes(
    tmp_path: Path, sidecar: State, app: State, expected: InstanceState
) -> None:
    shop = members(tmp_path)["shop"]
    for one, state, restarts in zip(shop.processes, (sidecar, app), (1, 2), strict=True):
        one.state, one.restarts = state, restarts
    assert dict(states([shop])) == {"shop": expected}
