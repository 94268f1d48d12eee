"""What Nomad is told of a workload: a group of tasks, a service of it, and how it is replaced."""

from collections.abc import Iterator, Sequence

from infermesh.deploy.images import refuse_absent
from infermesh.deploy.mounts import FOLDER
from infermesh.deploy.nomad import exposed, task
from infermesh.deploy.nomad.exposed import Exposed
from infermesh.deploy.nomad.hcl import Block, Expression, Value, attributes, block
from infermesh.deploy.nomad.place import LOOPBACK, NomadPlace
from infermesh.description.placement import Placement
from infermesh.description.read import Description
from infermesh.description.workload import Container, Workload

#: Between the end of a service in Consul and that of its tasks: callers have learnt of it by then.
_SHUTDOWN_DELAY = "5s"

_SPREAD = {"host": Expression('"${node.unique.id}"'), "zone": Expression('"${node.datacenter}"')}


def group(workload: Workload, place: NomadPlace, description: Description) -> Block:
    """All of it. Raises ConfigurationError for a container whose image nobody said."""
    containers = workload.containers(place)
    refuse_absent(workload, containers[0], description)
    checks = list(_checks(containers, place))
    watched = [*(it for it, _ in checks), *exposed.metrics(containers, place)]
    inside = [
        block("network", mode="bridge", inside=[exposed.port(it) for it in watched]),
        _update(workload.placement),
        block("spread", attribute=_SPREAD[workload.placement.spread]),
        *_volumes(containers, place, description),
        *_service(workload, place, [it for _, it in checks], watched),
        *(task.task(it, workload, place, description) for it in containers),
    ]
    values = attributes({"count": _count(workload), "shutdown_delay": _SHUTDOWN_DELAY})
    return Block("group", [workload.name], [*values, *inside])


def _count(workload: Workload) -> int:
    # It is for Nomad's autoscaler to start more.
    scale = workload.placement.autoscale
    return workload.placement.replicas if scale is None else scale.min


def _update(placement: Placement) -> Block:
    times: dict[str, Value] = {
        "min_healthy_time": "10s",
        "healthy_deadline": "10m",
        "progress_deadline": "15m",
    }
    # A canary would wait for a GPU that the old ones hold.
    canary: dict[str, Value] = {} if placement.gpu else {"canary": 1, "auto_promote": True}
    return Block("update", [], attributes({"max_parallel": 1, **canary, "auto_revert": True, **times}))


def _volumes(containers: Sequence[Container], place: NomadPlace, description: Description) -> Iterator[Block]:
    """Of the hosts: operators have to have them, by these names."""
    written = {path for it in containers for path in it.writes}
    for name in place.mounts.given:
        only_read = f"{FOLDER}/{name}" not in written
        yield block(
            "volume", name, type="host", source=f"{description.mesh.name}-{name}", read_only=only_read
        )


def _service(
    workload: Workload, place: NomadPlace, checks: Sequence[Block], watched: Sequence[Exposed]
) -> Iterator[Block]:
    upstreams = [
        block("upstreams", destination_name=name, local_bind_address=LOOPBACK, local_bind_port=number)
        for name, number in place.upstreams().items()
    ]
    expose = block("expose", inside=[exposed.path(it) for it in watched])
    proxy = block("proxy", inside=[*upstreams, expose])
    connect = block("connect", inside=[block("sidecar_service", inside=[proxy])])
    for port in workload.ports:
        if port.audience == "mesh":
            yield block("service", name=workload.name, port=str(port.number), inside=[*checks, connect])
            return


def _checks(containers: Sequence[Container], place: NomadPlace) -> Iterator[tuple[Exposed, Block]]:
    """Of infermesh's own: a sidecar is ready when its app is."""
    for container in containers:
        if not container.is_ours:
            continue
        if (it := exposed.probe(container, "ready", container.ready, place)) is not None:
            yield it, _check(it)
        alive = container.alive and exposed.probe(container, "alive", container.alive, place)
        if alive:
            yield alive, _check(alive, block("check_restart", limit=3, grace="2m"))


def _check(it: Exposed, *inside: Block) -> Block:
    return block(
        "check",
        name=it.label.replace("_", " "),
        type="http",
        port=it.label,
        path=it.path,
        interval="5s",
        timeout="2s",
        inside=inside,
    )
