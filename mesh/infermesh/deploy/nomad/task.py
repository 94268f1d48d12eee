"""What Nomad is told of a container."""

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal

from infermesh.deploy.images import required_image
from infermesh.deploy.mounts import FOLDER
from infermesh.deploy.nomad.hcl import Attribute, Block, Expression, attributes, block, quoted
from infermesh.deploy.nomad.place import NomadPlace
from infermesh.description.read import Description
from infermesh.description.workload import Container, Workload

#: Who infermesh's own run as: nobody whom a machine knows.
_USER = "65532"

#: Nomad counts megahertz; it is a weight where cores are short, and no limit.
_CORE = 1000

#: What one gets that did not say what it needs, in megahertz and MiB: Nomad has to know, and gives no more.
_CPU, _MEMORY = 500, 2048


def task(container: Container, workload: Workload, place: NomadPlace, description: Description) -> Block:
    """All of it. Raises ConfigurationError if nobody said which image it is run from."""
    values = {"driver": "docker", "kill_timeout": f"{_whole(container.grace.total_seconds())}s"}
    if container.is_ours:
        values["user"] = _USER
    return Block(
        "task",
        [container.name],
        [*attributes(values), *_inside(container, workload, place, description)],
    )


def _inside(
    container: Container, workload: Workload, place: NomadPlace, description: Description
) -> Iterator[Attribute | Block]:
    if container.is_sidecar:
        yield block("lifecycle", hook="prestart", sidecar=True)
    yield _config(container, required_image(container, workload, description))
    if container.environment:
        # As an attribute, since names of a block's could not have a dot.
        yield Attribute("env", dict(container.environment))
    for name in container.files:
        yield _template(name, workload)
    if container.is_ours:
        for name in place.mounts.given:
            path = f"{FOLDER}/{name}"
            only_read = path not in container.writes
            yield block("volume_mount", volume=name, destination=path, read_only=only_read)
    yield _resources(container, workload)


def _config(container: Container, found: str) -> Block:
    if not container.is_ours:
        # People's images know best how they are started: their `run` is for one machine.
        return block("config", image=found, security_opt=["no-new-privileges"])
    return block(
        "config",
        image=found,
        args=list(container.command),
        readonly_rootfs=True,
        cap_drop=["all"],
        security_opt=["no-new-privileges"],
        inside=[block("mount", type="tmpfs", target="/tmp", readonly=False)],
    )


def _template(name: str, workload: Workload) -> Block:
    return block(
        "template",
        data=Expression(f"file({quoted(f'{workload.name}/{name}')})"),
        destination=f"local/{name}",
        change_mode="restart",
        # The text is meant as it is: these are in none.
        left_delimiter="<<infermesh<<",
        right_delimiter=">>infermesh>>",
    )


def _resources(container: Container, workload: Workload) -> Block:
    placement = workload.placement
    if container.is_sidecar:
        own: list[Attribute] = attributes({"cpu": _CPU, "memory": _mebibytes(container.memory)})
        return Block("resources", [], own)
    cpu = _CPU if placement.cpu is None else _megahertz(placement.cpu)
    found = attributes({"cpu": cpu, "memory": _mebibytes(placement.memory)})
    gpus = [block("device", "nvidia/gpu", count=placement.gpu)] if placement.gpu else []
    return Block("resources", [], [*found, *gpus])


def _megahertz(cores: str) -> int:
    count = Decimal(cores[:-1]) / 1000 if cores.endswith("m") else Decimal(cores)
    return max(1, int(count * _CORE))


def _mebibytes(count: int | None) -> int:
    return _MEMORY if count is None else _whole(count / 2**20)


def _whole(number: float) -> int:
    return int(Decimal(str(number)).to_integral_value(ROUND_CEILING))
