"""What is rendered for Pods, with places of this machine in place of a Pod's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

#: Where Pods find what is mounted.
_MODELS, _IDENTITY = "/var/lib/infermesh/models", "/var/run/infermesh/identity"


def server_arguments(pod: Mapping[str, Any], models: Path, identity: Path | None = None) -> Sequence[str]:
    """Of `infermesh serve`, on any free ports of the loopback."""
    (container,) = pod["containers"]
    command, *given = container["args"]
    assert command == "serve"
    here = [it.replace(_MODELS, str(models)).replace(_IDENTITY, str(identity)) for it in given]
    for index, word in enumerate(here[:-1]):
        if word.endswith("-address"):
            here[index + 1] = "127.0.0.1"
        elif word.endswith("-port"):
            here[index + 1] = "0"
    return here


def sidecar_file(
    rendered: Path, folder: Path, app: int, where: Mapping[str, Any], identity: Path | None = None
) -> Path:
    """A sidecar.yaml on free ports of the loopback; `where` its only service is, not by its name."""
    said = yaml.safe_load(rendered.read_text(encoding="utf-8"))
    said["admin"] = said["inbound"]["listen"] = said["outbound"]["listen"] = "127.0.0.1:0"
    said["inbound"]["app"] = f"127.0.0.1:{app}"
    said["log"] = {"format": "json"}
    (service,) = said["services"].values()
    del service["dns"]
    service.update(where)
    if identity is not None:
        said["identity"]["directory"] = str(identity)
    file = folder / "sidecar.yaml"
    file.write_text(yaml.safe_dump(said), encoding="utf-8")
    return file
