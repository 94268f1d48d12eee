"""Routes: those that are written, and those that names of services and models stand for."""

from collections.abc import Sequence
from typing import Any

from infermesh.policies.requests import Policies
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

from infermesh_sidecar.settings.enrichment import Enrichment
from infermesh_sidecar.settings.listeners import Inbound, Outbound, Route
from infermesh_sidecar.settings.matches import Fit, Match
from infermesh_sidecar.settings.resolve import fallback, models, policy
from infermesh_sidecar.settings.sidecar import Sidecar
from infermesh_sidecar.translate.enrichments import enrichment
from infermesh_sidecar.translate.matches import match
from infermesh_sidecar.translate.policies import add_policies
from infermesh_sidecar.translate.units import nanoseconds

#: Names below it are this machine's (RFC 6761), so that an app can name a service in a URL.
_LOCAL = "localhost"

#: Of paths that name a model: REST v2, and simple JSON.
_ROOTS = ("/v2/models", "/models")


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

    named = [to(route.service or rest or "", route) for route in outbound.routes]
    # What has the name of the rest's service is part of the rest.
    known = [
        to(name, Route(match=_by_name(name, models(name, it, sidecar))))
        for name, it in sidecar.services.items()
        if name != rest
    ]
    return [*named, *known, *([] if rest is None else [to(rest, Route())])]


def _by_name(name: str, models: Sequence[str]) -> Match:
    """All in one, since limits and budgets belong to a route."""
    paths = [f"{root}/{model}" for root in _ROOTS for model in models]
    return Match(
        any=[
            Fit(authorities=[name, f"{name}.{_LOCAL}"]),
            *(Fit(path=path) for path in paths),
            # With the slash, since another model's name may begin with this one.
            *(Fit(prefix=f"{path}/") for path in paths),
        ]
    )


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
