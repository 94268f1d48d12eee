"""Services, and the app, as clusters of endpoints."""

from collections.abc import Mapping, Sequence

from infermesh.policies.endpoints import Breaker, Endpoints, HealthCheck, Outlier, Pool
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from infermesh.settings.values import split_address

from infermesh_sidecar.settings.listeners import App
from infermesh_sidecar.settings.resolve import has_tls
from infermesh_sidecar.settings.services import Dns, Service
from infermesh_sidecar.settings.sidecar import Sidecar
from infermesh_sidecar.translate.units import millionths, nanoseconds

_PROTOCOLS = {
    "auto": pb.UPSTREAM_PROTOCOL_UNSPECIFIED,
    "http1": pb.UPSTREAM_PROTOCOL_HTTP1,
    "http2": pb.UPSTREAM_PROTOCOL_HTTP2,
}


def service_cluster(
    name: str, service: Service, sidecar: Sidecar, from_files: Mapping[str, Sequence[str]]
) -> pb.Cluster:
    """A service's; ``from_files`` are the endpoints that files name, by service."""
    cluster = _cluster(name, service)
    if service.dns is not None:
        cluster.dns.CopyFrom(_dns(service.dns))
    else:
        endpoints = service.endpoints if service.endpoints is not None else from_files.get(name, ())
        cluster.static.CopyFrom(pb.Static(endpoints=endpoints))
    if has_tls(service, sidecar):
        tls = pb.UpstreamTls(identities=service.identities, server_name=service.server_name or "")
        cluster.tls.CopyFrom(tls)
    shares = service.split.items()
    cluster.split.extend(pb.Split(cluster=other, millionths=millionths(share)) for other, share in shares)
    return cluster


def app_cluster(name: str, app: App) -> pb.Cluster:
    """The app's, on this machine and so in plaintext."""
    cluster = _cluster(name, app)
    cluster.static.endpoints.append(app.address)
    return cluster


def _cluster(name: str, given: Endpoints) -> pb.Cluster:
    return pb.Cluster(
        name=name,
        protocol=_PROTOCOLS[given.protocol],
        balance=pb.Balance(
            decay_ns=nanoseconds(given.balance.decay), default_rtt_ns=nanoseconds(given.balance.default_rtt)
        ),
        breaker=None if given.breaker is None else _breaker(given.breaker),
        outlier=None if given.outlier is None else _outlier(given.outlier),
        health_check=None if given.health_check is None else _health_check(given.health_check),
        pool=_pool(given.pool),
    )


def _dns(given: Dns) -> pb.Dns:
    host, port = split_address(given.name) or ("", 0)
    return pb.Dns(host=host, port=port, interval_ns=nanoseconds(given.interval))


def _breaker(given: Breaker) -> pb.Breaker:
    return pb.Breaker(
        consecutive_failures=given.consecutive_failures,
        min_success_rate=given.min_success_rate,
        min_requests=given.min_requests,
        backoff_base_ns=nanoseconds(given.backoff_base),
        backoff_max_ns=nanoseconds(given.backoff_max),
    )


def _outlier(given: Outlier) -> pb.Outlier:
    return pb.Outlier(
        consecutive_failures=given.consecutive_failures,
        interval_ns=nanoseconds(given.interval),
        base_ejection_ns=nanoseconds(given.base_ejection),
        max_ejection_ns=nanoseconds(given.max_ejection),
        max_ejected=given.max_ejected,
        success_rate_sigma=given.success_rate_sigma,
    )


def _health_check(given: HealthCheck) -> pb.HealthCheck:
    return pb.HealthCheck(
        interval_ns=nanoseconds(given.interval),
        timeout_ns=nanoseconds(given.timeout),
        unhealthy=given.unhealthy,
        healthy=given.healthy,
        path=given.path or "",
        service=given.service or "",
    )


def _pool(given: Pool) -> pb.Pool:
    return pb.Pool(
        connect_timeout_ns=nanoseconds(given.connect_timeout),
        max_connections=given.max_connections or 0,
        max_pending=given.max_pending,
        max_age_ns=nanoseconds(given.max_age),
        idle_timeout_ns=nanoseconds(given.idle_timeout),
        keepalive_ns=nanoseconds(given.keepalive),
        keepalive_timeout_ns=nanoseconds(given.keepalive_timeout),
    )
