"""What holds where nothing is said: names of listeners, who encrypts, which level a policy comes from."""

from collections.abc import Sequence
from typing import Any

from infermesh.policies.requests import Policies, Transcode

from infermesh_sidecar.settings.listeners import Inbound, Listener, Outbound, Route
from infermesh_sidecar.settings.services import Service
from infermesh_sidecar.settings.sidecar import Sidecar

#: The cluster of the only app.
APP = "app"


def listener_names(listeners: Sequence[Listener], side: str) -> list[str]:
    """``inbound`` if there is one, else ``inbound-1`` and so on; unless they have names."""
    if len(listeners) == 1:
        return [listeners[0].name or side]
    return [it.name or f"{side}-{index}" for index, it in enumerate(listeners, 1)]


def app_names(sidecar: Sidecar) -> list[str]:
    """What the apps behind the inbound listeners are called."""
    names = listener_names(sidecar.inbound, "inbound")
    return [APP] if len(names) == 1 else [f"{APP}-{name}" for name in names]


def only_service(sidecar: Sidecar) -> str | None:
    """The service that is meant where none is named."""
    return next(iter(sidecar.services)) if len(sidecar.services) == 1 else None


def fallback(outbound: Outbound, sidecar: Sidecar) -> str | None:
    """Where requests of the app go that nothing else fits."""
    return outbound.service or only_service(sidecar)


def models(name: str, service: Service, sidecar: Sidecar) -> list[str]:
    """Names of models by which a service is found.

    One that gets a share of another one's requests does not take the names of that one's models from it.
    """
    others = [(other, it) for other, it in sidecar.services.items() if name in it.split]
    taken = {model for other, it in others for model in _own_models(other, it)}
    return [model for model in _own_models(name, service) if model not in taken]


def _own_models(name: str, service: Service) -> list[str]:
    return [name] if service.models is None else service.models


def has_tls(service: Service, sidecar: Sidecar) -> bool:
    """Whether a service is spoken to by mutual TLS."""
    return sidecar.identity is not None and service.tls != "off"


def inbound_tls(inbound: Inbound, sidecar: Sidecar) -> str:
    """``mutual``, ``permissive`` or ``off``."""
    return inbound.tls or ("mutual" if sidecar.identity is not None else "off")


def policy(name: str, route: Route, target: Policies) -> Any:
    """What a route says, or else whom it leads to: a service, or the inbound listener before the app."""
    level = route if name in route.model_fields_set else target
    if name == "transcode" and isinstance(level, Service):
        return transcode(level)
    return getattr(level, name)


def transcode(service: Service) -> Transcode | None:
    """A service is one of v2 over gRPC unless it says otherwise."""
    if "transcode" in service.model_fields_set or service.protocol == "http1":
        return service.transcode
    return Transcode()
