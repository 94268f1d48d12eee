"""Opens a connection to a server, and says who and what if that fails."""

from __future__ import annotations

import socket
import ssl

from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.target.address import Address
from infermesh_perf.target.tls import Tls


def connect(address: Address, tls: Tls | None, timeout: float) -> socket.socket:
    """A connection, encrypted if `tls` says how; the handshake is over when this returns.

    Each step takes `timeout` seconds at most. Never through a proxy, as load never goes through one.
    Raises RunError if the server cannot be reached or speaks no TLS, SetupError if it is not trusted.
    """
    try:
        plain = _plain(address, timeout)
    except OSError as error:
        why = error.strerror or str(error)
        hint = f"is the server running, and is this its port for {_name(address)}?"
        raise RunError(f"cannot reach {address}: {why}", hint) from error
    if tls is None:
        return plain
    try:
        return _encrypted(plain, address, tls)
    except BaseException:
        plain.close()
        raise


def _plain(address: Address, timeout: float) -> socket.socket:
    if not address.path:
        return socket.create_connection((address.host, address.port), timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(address.path)
    except BaseException:
        connection.close()
        raise
    return connection


def _encrypted(plain: socket.socket, address: Address, tls: Tls) -> ssl.SSLSocket:
    context = tls.context()
    context.set_alpn_protocols(["h2"] if address.protocol == "grpc" else ["http/1.1"])
    try:
        return context.wrap_socket(plain, server_hostname=tls.server_name or address.host)
    except ssl.SSLCertVerificationError as error:
        raise SetupError(
            f"the certificate of {address} is not accepted: {error.verify_message}",
            hint="--cacert names whom to trust, --server-name the name to look for, --insecure accepts any",
        ) from error
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror or str(error)
        hint = f"does the server speak TLS there? {address.protocol}:// is without"
        raise RunError(f"cannot reach {address}: the TLS handshake failed: {why}", hint) from error


def _name(address: Address) -> str:
    return "gRPC" if address.protocol == "grpc" else "HTTP"
