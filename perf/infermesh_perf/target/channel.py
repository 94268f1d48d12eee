"""A gRPC channel to a target."""

from __future__ import annotations

import base64

import grpc

from infermesh_perf.target.credentials import credentials
from infermesh_perf.target.target import Target

_MOMENT = 0.5


def channel(target: Target) -> grpc.Channel:
    """Its connections are made when it is used. Raises what `credentials` raises."""
    options: list[tuple[str, int | str]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        # The load generator goes through no proxy, so neither does what is asked beside it.
        ("grpc.enable_http_proxy", 0),
        # What an earlier connection to the address found out does not hold for this one.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if target.tls is None:
        if target.authority:
            options.append(("grpc.default_authority", target.authority))
        return grpc.insecure_channel(target.address.text, options)
    found = credentials(target.address, target.tls)
    if found.server_name:
        options.append(("grpc.ssl_target_name_override", found.server_name))
    if target.authority:
        options.append(("grpc.default_authority", target.authority))
    return grpc.secure_channel(target.address.text, found.channel, options)


def connected(channel: grpc.Channel) -> bool:
    """Whether there is a connection, or one is made within a moment."""
    try:
        grpc.channel_ready_future(channel).result(_MOMENT)
    except grpc.FutureTimeoutError:
        return False
    return True


def metadata(target: Target) -> tuple[tuple[str, str | bytes], ...]:
    """The target's headers as calls take them."""
    return tuple(map(_header, target.headers))


def _header(header: tuple[str, str]) -> tuple[str, str | bytes]:
    """Binary headers are base64 on the wire, and bytes to gRPC."""
    name, value = header
    if not name.endswith("-bin"):
        return name, value
    return name, base64.b64decode(value + "=" * (-len(value) % 4))
