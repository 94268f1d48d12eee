"""Routes: those that are written, and those that names of services and models stand for."""

from collections.abc import Iterator, Sequence
from typing import Any

from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

from infermesh_sidecar.settings.enrichment import Enrichment
from infermesh_sidecar.settings.listeners import Inbound, Outbound, Route
from infermesh_sidecar.settings.matches import Match
from infermesh_sidecar.settings.policies import Policies
from infermesh_sidecar.settings.resolve import fallback, policy
from infermesh_sidecar.settings.sidecar import Sidecar
from infermesh_sidecar.translate.enrichments import enrichment
from infermesh_sidecar.translate.matches import match
from infermesh_sidecar.translate.policies import add_policies
from infermesh_sidecar.translate.units import nanoseconds

#: Names below it are this machine's (RFC 6761), so that an app can name a service in a URL.
_LOCAL = "localhost"


def inbound_routes(inbound: Inbound, app: str, sidecar: Sidecar) -> list[pb.Route]:
    """The routes that are written, then all to the app."""

    def to(route: Route) -> pb.Route:
        target = inbound if route.service is None else sidecar.services[route.service]
        return _route(route, route.service or app, target, inbound.enrich, sidecar)

    return [to(route) for route in (*inbound.routes, Route())]


def outbound_routes(outbound: Outbound, sidecar: Sidecar) -> list[pb.Route]:
    """The routes that are written, then those by names of services and models, then all the rest."""
    rest = fallback(outbound, sidecar)

    def to(service: str, route: Route) -> pb.Route:
        return _route(route, service, sidecar.services[service], outbound.enrich, sidecar)

    routes = [to(route.service or rest or "", route) for route in outbound.routes]
    if len(sidecar.services) > 1:
        routes += [to(service, Route(match=fitting)) for service, fitting in _by_name(sidecar)]
    return [*routes, to(rest, Route())] if rest is not None else routes


def _by_name(sidecar: Sidecar) -> Iterator[tuple[str, Match]]:
    for name in sidecar.services:
        yield name, Match(authorities=[name, f"{name}.{_LOCAL}"])
    models = [
        (model, name)
        for name, service in sidecar.services.items()
        for model in (service.models if service.models is not None else [name])
    ]
    # The longer name first, since it may begin with the shorter one.
    for model, name in sorted(models, key=lambda it: -len(it[0])):
        yield name, Match(prefix=f"/v2/models/{model}")
        yield name, Match(prefix=f"/models/{model}")


def _route(
    route: Route, cluster: str, target: Policies, enrich: Sequence[Enrichment], sidecar: Sidecar
) -> pb.Route:
    """``target`` is what holds where the route says nothing."""

    def holds(name: str) -> Any:
        said = name in route.model_fields_set | target.model_fields_set
        return sidecar.capture if name == "capture" and not said else policy(name, route, target)

    made = pb.Route(
        name=route.name or cluster,
        match=match(route.match),
        cluster=cluster,
        timeout_ns=nanoseconds(holds("timeout")),
        enrichments=[enrichment(it, sidecar) for it in (*enrich, *route.enrich)],
    )
    if (transcode := holds("transcode")) is not None:
        made.transcode.CopyFrom(pb.Transcode(metadata_ttl_ns=nanoseconds(transcode.metadata_ttl)))
    else:
        made.forward.CopyFrom(pb.Forward(strip_prefix=route.strip_prefix or ""))
    add_policies(made, holds)
    return made
