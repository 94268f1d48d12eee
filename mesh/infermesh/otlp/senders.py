"""The two ways to a collector. Each sends one serialised request and waits for its answer."""

import gzip
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from infermesh.otlp.destination import Destination, Protocol

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_RETRYABLE_STATUSES = (429, 502, 503, 504)
_RETRYABLE_CODES = (
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNAVAILABLE",
    "DATA_LOSS",
    "RESOURCE_EXHAUSTED",
)

#: Sends a message, waiting at most so many seconds. Raises SendError.
Send = Callable[[bytes, float], None]


class SendError(Exception):
    """The collector did not take a message; ``retryable`` if it may take it later."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


def sender(destination: Destination) -> Send:
    """Return what sends to a destination. Opens nothing yet."""
    return _grpc(destination) if destination.protocol is Protocol.GRPC else _http(destination)


def _http(destination: Destination) -> Send:
    context = None
    if destination.is_secure:
        context = ssl.create_default_context(cafile=destination.certificate)
        if destination.client_certificate is not None:
            context.load_cert_chain(destination.client_certificate, destination.client_key)
    headers = {**destination.headers, "content-type": "application/x-protobuf"}
    if destination.compress:
        headers["content-encoding"] = "gzip"

    def send(message: bytes, timeout: float) -> None:
        body = gzip.compress(message, 1) if destination.compress else message
        request = urllib.request.Request(destination.url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise SendError(
                    f"{destination.url} answers {error.code} {error.reason}",
                    retryable=error.code in _RETRYABLE_STATUSES,
                ) from error
        except (OSError, http.client.HTTPException) as error:
            raise SendError(f"{destination.url}: {error}", retryable=True) from error

    return send


def _grpc(destination: Destination) -> Send:
    # Its library tells stderr about every connection that ends; what matters is an error here.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # Only where it is asked for: it takes a tenth of a second to import.
    import grpc

    target = urlsplit(destination.url).netloc
    if destination.is_secure:
        files = (destination.certificate, destination.client_key, destination.client_certificate)
        credentials = grpc.ssl_channel_credentials(*(file.read_bytes() if file else None for file in files))
        channel = grpc.secure_channel(target, credentials)
    else:
        channel = grpc.insecure_channel(target)
    export: Any = channel.unary_unary(_EXPORT, request_serializer=None, response_deserializer=None)
    metadata = tuple(destination.headers.items())
    compression = grpc.Compression.Gzip if destination.compress else None

    def send(message: bytes, timeout: float) -> None:
        try:
            export(message, timeout=timeout, metadata=metadata, compression=compression)
        except grpc.RpcError as error:
            code = error.code()
            raise SendError(
                f"{destination.url} answers {code.name}: {error.details()}",
                retryable=code.name in _RETRYABLE_CODES,
            ) from error

    return send
