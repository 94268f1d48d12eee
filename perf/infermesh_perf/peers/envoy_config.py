"""What Envoy is told: a proxy for HTTP/2 that does nothing else."""

from __future__ import annotations

from typing import Any

# Envoy's own limits end at 1024 requests, which a load test reaches: refusals say nothing of its speed.
NO_LIMIT = 1_000_000
HTTP_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def proxy_config(listener: int, admin: int, upstream: int) -> dict[str, Any]:
    """Envoy's bootstrap: everything that arrives on one port of this machine goes to another one."""
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
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": manager,
                                }
                            ]
                        }
                    ],
                }
            ],
            "clusters": [_cluster(upstream)],
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


def _loopback(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
