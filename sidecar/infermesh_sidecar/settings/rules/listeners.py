"""What listeners, their routes and enrichments have to keep."""

from infermesh.policies.requests import Policies

from infermesh_sidecar.settings.enrichment import Enrichment
from infermesh_sidecar.settings.listeners import Inbound, Listener, Outbound, Route
from infermesh_sidecar.settings.resolve import fallback, inbound_tls, only_service, policy
from infermesh_sidecar.settings.rules.place import Broken, below, broken
from infermesh_sidecar.settings.rules.policies import endpoint_rules, policy_rules
from infermesh_sidecar.settings.rules.services import known_service
from infermesh_sidecar.settings.sidecar import Sidecar


def inbound_rules(inbound: Inbound, sidecar: Sidecar) -> Broken:
    """Of one listener before the app."""
    yield from _listener(inbound, inbound_tls(inbound, sidecar), sidecar)
    yield from below(("app",), endpoint_rules(inbound.app))
    yield from policy_rules(inbound, captures=sidecar.capture is not None)
    wait = inbound.wait_for_app
    if wait is not None and wait.path is not None and inbound.app.protocol == "http2":
        text = "found beside protocol: http2, expected none: a connection is waited for"
        yield broken("wait_for_app", "path", text=text)
    for index, route in enumerate(inbound.routes):
        target = inbound if route.service is None else sidecar.services.get(route.service)
        yield from below(("routes", index), _route(route, target, sidecar))


def outbound_rules(outbound: Outbound, sidecar: Sidecar) -> Broken:
    """Of one listener behind the app."""
    yield from _listener(outbound, outbound.tls, sidecar)
    yield from known_service(outbound.service, sidecar)
    if not sidecar.services:
        yield broken(text="found no services, expected services at the top, which the app can call")
    for index, route in enumerate(outbound.routes):
        name = route.service or fallback(outbound, sidecar)
        if name is None and sidecar.services:
            expected = ", ".join(sidecar.services)
            yield broken("routes", index, "service", text=f"is missing, expected one of {expected}")
        yield from below(("routes", index), _route(route, sidecar.services.get(name or ""), sidecar))


def _listener(listener: Listener, tls: str, sidecar: Sidecar) -> Broken:
    if tls != "off" and sidecar.identity is None:
        yield broken("tls", text=f"found {tls!r} without an identity, expected identity at the top")
    for index, permission in enumerate(listener.allow or []):
        if permission.identities and tls == "off":
            text = "found where peers speak plaintext, expected tls: mutual, by which they have identities"
            yield broken("allow", index, "identities", text=text)
    if listener.max_connection_age_grace is not None and listener.max_connection_age is None:
        yield broken("max_connection_age_grace", text="found without max_connection_age, expected both")
    for index, enrichment in enumerate(listener.enrich):
        yield from below(("enrich", index), _enrichment(enrichment, sidecar))


def _route(route: Route, target: Policies | None, sidecar: Sidecar) -> Broken:
    yield from known_service(route.service, sidecar)
    yield from policy_rules(route, captures=sidecar.capture is not None)
    transcodes = target is not None and policy("transcode", route, target) is not None
    if route.strip_prefix is not None and transcodes:
        text = "found where REST becomes gRPC, which has paths of its own, expected transcode: false with it"
        yield broken("strip_prefix", text=text)
    for index, enrichment in enumerate(route.enrich):
        yield from below(("enrich", index), _enrichment(enrichment, sidecar))


def _enrichment(enrichment: Enrichment, sidecar: Sidecar) -> Broken:
    name = enrichment.service or only_service(sidecar)
    yield from known_service(enrichment.service, sidecar)
    if name is None:
        known = f"one of {', '.join(sidecar.services)}" if sidecar.services else "services at the top"
        yield broken("service", text=f"is missing, expected {known}")
    elif name in sidecar.services and sidecar.services[name].protocol == "http1":
        text = f"found {name!r}, whose protocol is http1, expected another: models are asked over gRPC"
        yield broken("service", text=text)
    if not enrichment.inputs and enrichment.transform is None:
        yield broken("inputs", text="is missing, expected what fills the model's inputs, or transform")
