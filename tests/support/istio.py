"""A real Envoy, told what Istio tells the sidecars of a mesh with STRICT mutual TLS."""

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from infermesh.identity.layout import OWN
from infermesh_perf.peers import Envoy
from infermesh_perf.processes import free_ports

ROOT = Path(__file__).parents[2]

HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."

#: Another attempt is made at another instance, if there is one.
OTHER_HOSTS = {
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3"
                ".PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": "5",
}

#: What Istio offers where a port's name says nothing: its own word for raw TCP between sidecars comes first.
UNNAMED = ("istio-peer-exchange", "h2", "http/1.1")

START_SECONDS = 20.0

Side = Literal["inbound", "outbound"]


def missing() -> str | None:
    """Why there is no Envoy, or None if there is one."""
    return Envoy(ROOT).missing()


@contextmanager
def envoy(side: Side, upstream: int, identity: Path, peers: str, folder: Path) -> Iterator[str]:
    """Run a sidecar on loopback before ``upstream``; yields its address once it accepts.

    ``inbound`` takes mutual TLS and forwards in plaintext, ``outbound`` the other way round. ``identity`` is
    a folder with its files; ``peers`` is the beginning of the SPIFFE ids that it speaks with.
    """
    (listener,) = free_ports(1)
    with running(side, resources(side, listener, upstream, identity, peers), folder):
        yield f"127.0.0.1:{listener}"


@contextmanager
def running(name: str, resources: Mapping[str, Any], folder: Path) -> Iterator[int]:
    """Run Envoy with these listeners and clusters; yields the port of its admin endpoint once it is live."""
    (admin,) = free_ports(1)
    config = folder / f"envoy-{name}.json"
    config.write_text(json.dumps({"admin": {"address": loopback(admin)}, "static_resources": resources}))
    log = folder / f"envoy-{name}.log"
    arguments = Envoy(ROOT).command(config, admin, log, "", threads=1).arguments
    with log.open("wb") as out:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_until_live(process, admin, log)
        yield admin
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def counters(admin: int) -> dict[str, int]:
    """What an Envoy has counted, by name."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/stats?format=json") as answer:
        found = json.load(answer)["stats"]
    return {it["name"]: it["value"] for it in found if isinstance(it.get("value"), int)}


def _wait_until_live(process: subprocess.Popen[bytes], admin: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{admin}/ready") as answer,
        ):
            if answer.status == 200:
                return
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.02)


def resources(side: Side, port: int, upstream: int, identity: Path, peers: str) -> dict[str, Any]:
    """The static form of what istiod sends."""
    route = {
        "cluster": "app",
        "timeout": "0s",
        # meshConfig.defaultHttpRetryPolicy.
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,unavailable,cancelled",
            "num_retries": 2,
            **OTHER_HOSTS,
        },
    }
    trusted = {"prefix": peers}
    if side == "inbound":
        return {
            "listeners": [
                listener(
                    side,
                    port,
                    [{"name": "app", "domains": ["*"], "routes": [everything(route)]}],
                    tls=accepts(identity, trusted, UNNAMED),
                )
            ],
            "clusters": [cluster("app", [upstream])],
        }
    return {
        "listeners": [
            listener(side, port, [{"name": "app", "domains": ["*"], "routes": [everything(route)]}])
        ],
        "clusters": [cluster("app", [upstream], presents(identity, trusted))],
    }


def everything(route: dict[str, Any]) -> dict[str, Any]:
    """A route for all requests."""
    return {"match": {"prefix": "/"}, "route": route}


def listener(
    name: str,
    port: int,
    hosts: Sequence[dict[str, Any]],
    *,
    tls: dict[str, Any] | None = None,
    filters: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """One that takes HTTP on loopback: of its own app, or of others where it has `tls`."""
    manager = {
        "@type": HTTP,
        "stat_prefix": name,
        "codec_type": "AUTO",
        "use_remote_address": tls is None,
        "forward_client_cert_details": "SANITIZE" if tls is None else "APPEND_FORWARD",
        "set_current_client_cert_details": {"subject": True, "uri": True, "dns": True},
        "route_config": {"virtual_hosts": list(hosts), "ignore_port_in_host_matching": True},
        "http_filters": [
            *filters,
            {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}},
        ],
    }
    network = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        "name": name,
        "address": loopback(port),
        "filter_chains": [{"filters": [network], **(tls or {})}],
    }


def cluster(name: str, ports: Sequence[int], tls: dict[str, Any] | None = None) -> dict[str, Any]:
    """Some ports of loopback that speak HTTP/2."""
    endpoints = [{"endpoint": {"address": loopback(port)}} for port in ports]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        **(tls or {}),
    }


def accepts(
    identity: Path, callers: dict[str, str], protocols: Sequence[str] = ("h2", "http/1.1")
) -> dict[str, Any]:
    """Mutual TLS for those who call, of a port whose name says that it is of HTTP."""
    context = _context(identity, callers, protocols)
    return _socket("DownstreamTlsContext", context, {"require_client_certificate": True})


def presents(identity: Path, servers: dict[str, str]) -> dict[str, Any]:
    """Mutual TLS with those who are called."""
    context = _context(identity, servers, ["istio-peer-exchange", "istio", "h2"])
    return _socket("UpstreamTlsContext", context, {"sni": "outbound_.8001_._.models.ml.svc.cluster.local"})


def _context(identity: Path, peers: dict[str, str], protocols: Sequence[str]) -> dict[str, Any]:
    def file(name: str) -> dict[str, str]:
        return {"filename": str(identity / name)}

    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": list(protocols),
        "tls_certificates": [{"certificate_chain": file(OWN.certificate), "private_key": file(OWN.key)}],
        "validation_context": {
            "trusted_ca": file(OWN.bundle),
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": peers}],
        },
    }


def _socket(kind: str, context: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    config = {"@type": TLS + kind, "common_tls_context": context, **more}
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": config}}


def loopback(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
