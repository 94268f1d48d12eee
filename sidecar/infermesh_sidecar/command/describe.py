"""What a sidecar would do, for people."""

from collections.abc import Iterator
from datetime import timedelta

from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from infermesh.settings.values import format_duration, format_share

from infermesh_sidecar.process.launch import Launch

_DIRECTIONS = {pb.DIRECTION_INBOUND: "requests for the app", pb.DIRECTION_OUTBOUND: "requests of the app"}
_TLS = {
    pb.LISTENER_TLS_UNSPECIFIED: "plaintext",
    pb.LISTENER_TLS_MUTUAL: "mutual TLS",
    pb.LISTENER_TLS_PERMISSIVE: "mutual TLS or plaintext",
}


def describe(launch: Launch) -> str:
    """A few lines for each listener and service, and what the log would warn of."""
    config = pb.ProxyConfig.FromString(launch.config)
    return "".join(f"{line}\n" for line in _lines(launch, config))


def _lines(launch: Launch, config: pb.ProxyConfig) -> Iterator[str]:
    yield f"{launch.source} is right: {config.name}"
    if config.HasField("identity"):
        yield f"identity: {config.identity.certificate_file}"
    yield f"admin: {launch.admin or 'nowhere'}"
    if launch.traces is not None:
        yield f"traces: {format_share(round(launch.traces.sample_rate, 9))} of those that begin here"
    if launch.captures is not None:
        yield f"captures: {launch.captures.directory}"
    for listener in config.listeners:
        yield ""
        how = f"on {listener.address}, {_TLS[listener.tls]}"
        yield f"{listener.name}: {_DIRECTIONS[listener.direction]}, {how}"
        yield from (f"  allows {_permission(it)}" for it in listener.permissions)
        for route in listener.routes:
            yield f"  {_match(route.match)} -> {route.cluster}: {', '.join(_treatment(route))}"
            yield from (f"    asks {_enrichment(it)}" for it in route.enrichments)
    for cluster in config.clusters:
        yield ""
        yield f"{cluster.name}: {_whereabouts(launch, cluster)}, {', '.join(_care(cluster))}"
    if launch.apps or launch.ending.apps or launch.ending.drain_delay:
        yield ""
    for app in launch.apps:
        yield f"ready when {app.address}{app.path} answers, within {_seconds(app.timeout)}"
    if launch.ending.drain_delay:
        yield f"after SIGTERM takes requests for {_seconds(launch.ending.drain_delay)} more"
    for address in launch.ending.apps:
        yield f"ends after the app at {address}, within {_seconds(launch.ending.app_timeout)}"
    for warning in launch.warnings:
        yield f"\nWarning: {warning}"


def _permission(given: pb.Permission) -> str:
    who = ", ".join(given.identities) or "anybody"
    what = ", ".join(given.paths) or "everything"
    return f"{who}: {' '.join([*given.methods, what])}"


def _match(given: pb.Match) -> str:
    if given.any:
        named = [name for it in given.any for name in (*it.authorities, it.path, _open(it.prefix)) if name]
        return f"{', '.join(named[:3])}{', ...' if named[3:] else ''}"
    said = [
        *given.methods,
        given.path,
        _open(given.prefix),
        *given.authorities,
        *(f"{name}: {value}" for name, value in given.headers.items()),
        {pb.PROTOCOL_GRPC: "gRPC", pb.PROTOCOL_HTTP: "not gRPC"}.get(given.protocol, ""),
    ]
    return " ".join(filter(None, said)) or "everything"


def _open(prefix: str) -> str:
    return f"{prefix}*" if prefix else ""


def _treatment(route: pb.Route) -> Iterator[str]:
    yield "REST becomes gRPC" if route.HasField("transcode") else "as it is"
    if route.timeout_ns:
        yield f"within {_nanoseconds(route.timeout_ns)}"
    if route.HasField("retry"):
        yield f"{route.retry.max_attempts} attempts"
    for name in ("hedge", "rate_limit", "concurrency", "coalesce", "cache"):
        if route.HasField(name):
            yield name.replace("_", " ")
    if route.HasField("capture"):
        yield f"{format_share(route.capture.sample_rate)} captured"


def _enrichment(given: pb.Enrichment) -> str:
    inputs = ", ".join(f"{it.name} from {it.source}" for it in given.inputs)
    outputs = ", ".join(f"{it.name} to {it.target}" for it in given.outputs)
    closed = given.on_failure == pb.ON_FAILURE_CLOSED
    failing = "refuses the request if that fails" if closed else "goes on without if that fails"
    about = "answers" if given.on_response else "requests"
    function = f"{given.transform}, " if given.transform else ""
    asked = f"{given.model} of {given.cluster} about {about}: {function}{inputs or 'the request'}; {outputs}"
    return f"{asked}; within {_nanoseconds(given.timeout_ns)}; {failing}"


def _whereabouts(launch: Launch, cluster: pb.Cluster) -> str:
    if cluster.HasField("dns"):
        return f"all addresses of {cluster.dns.host} at port {cluster.dns.port}"
    endpoints = ", ".join(cluster.static.endpoints) or "nobody yet"
    file = launch.endpoint_files.get(cluster.name)
    return f"{endpoints} (from {file})" if file is not None else endpoints


def _care(cluster: pb.Cluster) -> Iterator[str]:
    if cluster.HasField("tls"):
        yield f"mutual TLS with {', '.join(cluster.tls.identities) or 'anybody of the trust domain'}"
    else:
        yield "plaintext"
    for name in ("breaker", "outlier", "health_check"):
        if cluster.HasField(name):
            yield name.replace("_", " ")
    for split in cluster.split:
        yield f"{format_share(split.millionths / 1_000_000)} of its requests to {split.cluster}"


def _nanoseconds(value: int) -> str:
    return format_duration(timedelta(microseconds=value / 1000))


def _seconds(value: float) -> str:
    return format_duration(timedelta(seconds=value))
