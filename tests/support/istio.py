"""A real Envoy, told what Istio tells the sidecars of a mesh with STRICT mutual TLS."""

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
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
    listener, admin = free_ports(2)
    config = folder / f"envoy-{side}.json"
    config.write_text(json.dumps(bootstrap(side, listener, admin, upstream, identity, peers)))
    log = folder / f"envoy-{side}.log"
    arguments = Envoy(ROOT).command(config, listener, log, "", threads=1).arguments
    with log.open("wb") as out:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_until_live(process, admin, log)
        yield f"127.0.0.1:{listener}"
    finally:
        process.terminate()
        process.wait(START_SECONDS)


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


def bootstrap(
    side: Side, listener: int, admin: int, upstream: int, identity: Path, peers: str
) -> dict[str, Any]:
    """The static form of what istiod sends."""
    route = {
        "cluster": "app",
        "timeout": "0s",
        # meshConfig.defaultHttpRetryPolicy.
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,unavailable,cancelled",
            "num_retries": 2,
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
        },
    }
    manager = {
        "@type": HTTP,
        "stat_prefix": f"{side}_0.0.0.0",
        "codec_type": "AUTO",
        "use_remote_address": side == "outbound",
        "forward_client_cert_details": "APPEND_FORWARD" if side == "inbound" else "SANITIZE",
        "set_current_client_cert_details": {"subject": True, "uri": True, "dns": True},
        "route_config": {
            "virtual_hosts": [
                {"name": "app", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
            ]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    chain: dict[str, Any] = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
        ]
    }
    cluster: dict[str, Any] = {
        "name": "app",
        "type": "STATIC",
        "connect_timeout": "10s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": "app",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _loopback(upstream)}}]}],
        },
    }
    if side == "inbound":
        # What Istio offers: its own word for raw TCP between sidecars comes first.
        context = _context(identity, peers, ["istio-peer-exchange", "h2", "http/1.1"])
        chain |= _socket("DownstreamTlsContext", context, {"require_client_certificate": True})
    else:
        context = _context(identity, peers, ["istio-peer-exchange", "istio", "h2"])
        cluster |= _socket(
            "UpstreamTlsContext", context, {"sni": "outbound_.8001_._.models.ml.svc.cluster.local"}
        )
    return {
        "admin": {"address": _loopback(admin)},
        "static_resources": {
            "listeners": [{"name": side, "address": _loopback(listener), "filter_chains": [chain]}],
            "clusters": [cluster],
        },
    }


def _context(identity: Path, peers: str, protocols: list[str]) -> dict[str, Any]:
    def file(name: str) -> dict[str, str]:
        return {"filename": str(identity / name)}

    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": protocols,
        "tls_certificates": [{"certificate_chain": file(OWN.certificate), "private_key": file(OWN.key)}],
        "validation_context": {
            "trusted_ca": file(OWN.bundle),
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"prefix": peers}}],
        },
    }


def _socket(kind: str, context: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    config = {"@type": TLS + kind, "common_tls_context": context, **more}
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": config}}


def _loopback(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
