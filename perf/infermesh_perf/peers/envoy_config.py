"""What Envoy is told: a proxy for HTTP/2 that does nothing else, with mutual TLS on a side if wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infermesh.identity.layout import OWN

from infermesh_perf.peers.mutual import LOOPBACK, TRUST_DOMAIN, Mutual

# Envoy's own limits end at 1024 requests, which a load test reaches: refusals say nothing of its speed.
NO_LIMIT = 1_000_000
HTTP_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."


def proxy_config(listener: int, admin: int, upstream: int, mutual: Mutual | None = None) -> dict[str, Any]:
    """Envoy's bootstrap: everything that arrives on one port of this machine goes to another one.

    In plaintext, but for the side that is to have mutual TLS.
    """
    callers = _server_tls(mutual.identity) if mutual and mutual.towards == "callers" else {}
    servers = _client_tls(mutual.identity) if mutual and mutual.towards == "upstream" else {}
    manager = {
        "@type": HTTP_MANAGER,
        "stat_prefix": "inference",
        "codec_type": "HTTP2",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    # Without a deadline, as there is none on the direct way.
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "server", "timeout": "0s"}}],
                }
            ]
        },
        "stream_idle_timeout": "0s",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    return {
        "admin": {"address": _loopback(admin)},
        # How old what it tells about itself may be.
        "stats_flush_interval": "0.5s",
        "static_resources": {
            "listeners": [
                {
                    "name": "inference",
                    "address": _loopback(listener),
                    "filter_chains": [
                        {
                            **callers,
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": manager,
                                }
                            ],
                        }
                    ],
                }
            ],
            "clusters": [_cluster(upstream) | servers],
        },
    }


def _cluster(port: int) -> dict[str, Any]:
    unlimited = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), NO_LIMIT)
    return {
        "name": "server",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [unlimited]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": HTTP_OPTIONS,
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": "server",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _loopback(port)}}]}],
        },
    }


def _server_tls(identity: Path) -> dict[str, Any]:
    return _tls("DownstreamTlsContext", identity, {"require_client_certificate": True})


def _client_tls(identity: Path) -> dict[str, Any]:
    return _tls("UpstreamTlsContext", identity, {})


def _tls(context: str, identity: Path, more: dict[str, Any]) -> dict[str, Any]:
    def file(name: str) -> dict[str, str]:
        return {"filename": str(identity / name)}

    common = {
        # Left alone, a client of some versions offers no more than 1.2.
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": ["h2"],
        "tls_certificates": [{"certificate_chain": file(OWN.certificate), "private_key": file(OWN.key)}],
        "validation_context": {
            "trusted_ca": file(OWN.bundle),
            "match_typed_subject_alt_names": [
                {"san_type": "URI", "matcher": {"prefix": f"spiffe://{TRUST_DOMAIN}/"}}
            ],
        },
    }
    return {
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": TLS + context, "common_tls_context": common, **more},
        }
    }


def _loopback(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}
