"""What Compose is told of one container."""

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from infermesh.deploy.compose.place import FILES, IDENTITY, ComposePlace
from infermesh.deploy.compose.text import literal, seconds, shares, size
from infermesh.deploy.mounts import FOLDER
from infermesh.description.placement import Placement
from infermesh.description.workload import Container, Probe

Object = dict[str, Any]

#: Who containers of infermesh run as: somebody who can read the models and the keys of identities.
USER = "${INFERMESH_USER:-65532:65532}"

#: The folder of identities, for those who keep it elsewhere.
IDENTITIES = "INFERMESH_IDENTITIES"

#: The folder of mesh.yaml, for those who take what was rendered elsewhere.
HOME = "INFERMESH_HOME"

#: Long enough for models to load: until then, a failed check says nothing.
_START = "10m"


def common(container: Container, image: str) -> Object:
    """What is the same wherever it stands."""
    environment = {name: literal(value) for name, value in container.environment.items()}
    # People's images know best how they are started: their `run` is for this machine.
    command = [literal(word) for word in container.command] if container.is_ours else []
    return {
        "image": literal(image),
        **({"command": command} if command else {}),
        **({"environment": environment} if environment else {}),
        **(_confined() if container.is_ours else {}),
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "stop_grace_period": seconds(container.grace),
    }


def _confined() -> Object:
    return {"user": USER, "read_only": True, "tmpfs": ["/tmp"], "cap_drop": ["ALL"]}


def ours(container: Container, place: ComposePlace, home: str) -> Object:
    """What is known of infermesh's own alone: what they read, and how they are asked whether they are well.

    Ready is a sidecar whose app is ready, and the app waits for it: it is asked for its life alone.
    """
    found: Object = {}
    if volumes := _volumes(container, place, home):
        found["volumes"] = volumes
    if container.files:
        # With another label, `up` starts anew what reads other files than before.
        found["labels"] = {"infermesh.files": _digest(container.files)}
    asked = container.alive if container.is_sidecar and container.alive else container.ready
    found["healthcheck"] = _healthcheck(asked, place)
    return found


def _healthcheck(probe: Probe, place: ComposePlace) -> Object:
    # By a command that images of infermesh have.
    url = f"{probe.kind}://127.0.0.1:{place.number(probe.port)}{probe.path or ''}"
    return {
        "test": ["CMD", "infermesh-probe", literal(url)],
        "interval": "3s",
        "timeout": "3s",
        "retries": 3,
        "start_period": _START,
    }


def _volumes(container: Container, place: ComposePlace, home: str) -> list[Object]:
    found = []
    if container.files:
        found.append(_mount(f"./{place.workload.name}", FILES))
    if place.identity is not None:
        folder = f"${{{IDENTITIES}:-{literal(home)}/.infermesh/identity}}"
        found.append(_mount(f"{folder}/{place.workload.name}", IDENTITY))
    for name, given in place.mounts.given.items():
        target = f"{FOLDER}/{name}"
        found.append(_mount(_source(given, home), target, read_only=target not in container.writes))
    return found


def _source(given: str, home: str) -> str:
    if PurePosixPath(given).is_absolute():
        return literal(given)
    return f"${{{HOME}:-{literal(home)}}}/{literal(given)}"


def _mount(source: str, target: str, *, read_only: bool = True) -> Object:
    # What is not there is an error, and not an empty folder that belongs to root.
    return {
        "type": "bind",
        "source": source,
        "target": target,
        "read_only": read_only,
        "bind": {"create_host_path": False},
    }


def resources(placement: Placement) -> Object:
    """What the main container of a workload needs, and gets at most."""
    deploy: Object = {}
    if placement.memory is not None:
        deploy |= memory(placement.memory)
    if placement.gpu:
        device = {"driver": "nvidia", "count": placement.gpu, "capabilities": ["gpu"]}
        deploy.setdefault("resources", {})["reservations"] = {"devices": [device]}
    found: Object = {"deploy": deploy} if deploy else {}
    if placement.cpu is not None:
        # Compose reserves no cores: whoever needs more gets more where they are short.
        found["cpu_shares"] = shares(placement.cpu)
    return found


def memory(count: int) -> Object:
    """A limit of memory, for `deploy`."""
    return {"resources": {"limits": {"memory": size(count)}}}


def _digest(files: Mapping[str, str]) -> str:
    said = "\0".join(f"{name}\0{text}" for name, text in sorted(files.items()))
    return hashlib.sha256(said.encode()).hexdigest()[:16]
