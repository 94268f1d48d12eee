"""Which process telemetry comes from.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import os
import platform
import uuid
from collections.abc import Mapping
from urllib.parse import unquote

from infermesh.errors import ConfigurationError


def resource(
    environment: Mapping[str, str], service: Mapping[str, str], own: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the attributes of this process.

    ``service`` is what it calls itself; OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME and ``own`` take
    precedence over it, in this order. Raises ConfigurationError for attributes that are no pairs.
    """
    found = {
        "host.name": platform.node(),
        "process.pid": str(os.getpid()),
        "service.instance.id": str(uuid.uuid4()),
        **service,
    }
    for pair in filter(None, environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")):
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            raise ConfigurationError(f"OTEL_RESOURCE_ATTRIBUTES: found {pair!r}, expected key=value")
        found[key.strip()] = unquote(value.strip())
    if name := environment.get("OTEL_SERVICE_NAME"):
        found["service.name"] = name
    return {**found, **(own or {})}
