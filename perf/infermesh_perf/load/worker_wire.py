"""What coordinators and workers agree on about their connection."""

from __future__ import annotations

import grpc

from infermesh_perf.load.worker_address import WorkerAddress
from infermesh_perf.load.worker_tls import WorkerTls

#: A plan holds all payloads.
MAX_PLAN_BYTES = 1 << 30
#: With room for what the plan is wrapped in.
MAX_MESSAGE_BYTES = MAX_PLAN_BYTES + 1024
#: Without a word for so long the other side is asked whether it is there, and given up after as long again.
KEEPALIVE_MS = 5_000

_COMMON: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
]
SERVER_OPTIONS = [
    *_COMMON,
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A second worker on the port would get every other coordinator.
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
]
_CHANNEL_OPTIONS = [
    *_COMMON,
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    # What an earlier connection to the address found out does not hold for this one.
    ("grpc.use_local_subchannel_pool", 1),
]


def channel(address: WorkerAddress, tls: WorkerTls | None) -> grpc.Channel:
    """To a worker; it connects when it is used."""
    if tls is None:
        return grpc.insecure_channel(str(address), _CHANNEL_OPTIONS)
    return grpc.secure_channel(str(address), tls.client(), _CHANNEL_OPTIONS)
