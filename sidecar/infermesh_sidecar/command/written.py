"""A configuration as a file says it, whole."""

from typing import Any

import yaml

from infermesh_sidecar.settings.resolve import transcode
from infermesh_sidecar.settings.sidecar import Sidecar


def written(sidecar: Sidecar) -> str:
    """YAML with every default filled in; what is off and would be on is ``false``."""
    services = {
        name: service.model_copy(update={"transcode": transcode(service)})
        for name, service in sidecar.services.items()
    }
    data: dict[str, Any] = sidecar.model_copy(update={"services": services}).model_dump(by_alias=True)
    # A list of one is written as the one, as people do.
    for side in ("inbound", "outbound"):
        listeners = data.pop(side)
        if listeners:
            data[side] = listeners[0] if len(listeners) == 1 else listeners
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
    return text
