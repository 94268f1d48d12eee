"""gRPC's credentials from what secures a connection."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Any

import grpc

from infermesh_perf.errors import SetupError
from infermesh_perf.target.address import Address
from infermesh_perf.target.tls import Tls

_SECONDS = 10.0


@dataclass(frozen=True)
class Credentials:
    """For a channel, and the name that the server's certificate must have; empty for the address's host."""

    channel: grpc.ChannelCredentials
    server_name: str


def credentials(address: Address, tls: Tls) -> Credentials:
    """What a channel to `address` needs.

    gRPC cannot leave verification out. Where any certificate is accepted, the one that the server shows now
    is fetched and trusted, with a name that stands in it. Raises SetupError if gRPC would refuse it even so,
    as when it has expired, and OSError if the server cannot be reached.
    """
    roots, name = tls.authorities, tls.server_name
    if tls.insecure:
        roots, name = _shown(address, tls)
    channel = grpc.ssl_channel_credentials(
        roots or _system_authorities(), tls.key or None, tls.certificate or None
    )
    return Credentials(channel, name)


def _system_authorities() -> bytes | None:
    """The machine's own, as the load generator trusts them: gRPC brings a list of its own otherwise."""
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode() or None


def _shown(address: Address, tls: Tls) -> tuple[bytes, str]:
    """The certificate that the server shows, in PEM, and a name in it."""
    with _connected(address, tls.context()) as encrypted:
        der = encrypted.getpeercert(binary_form=True)
    if der is None:
        raise SetupError(f"{address} shows no certificate, expected one")
    trusting = tls.context()
    trusting.verify_mode = ssl.CERT_REQUIRED
    # It need not be an authority's to be trusted.
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(cadata=der)
    try:
        # Only a certificate that was verified is given to callers in parts.
        with _connected(address, trusting) as encrypted:
            return ssl.DER_cert_to_PEM_cert(der).encode(), _name(encrypted)
    except ssl.SSLCertVerificationError as error:
        raise SetupError(
            f"--insecure: gRPC refuses the certificate of {address} in any case: {error.verify_message}",
            hint="give the server a valid certificate, or measure over https://, where nothing is verified",
        ) from error


def _connected(address: Address, context: ssl.SSLContext) -> ssl.SSLSocket:
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection((address.host, address.port), timeout=_SECONDS)
    try:
        return context.wrap_socket(plain, server_hostname=address.host)
    except BaseException:
        plain.close()
        raise


def _name(encrypted: ssl.SSLSocket) -> str:
    # Declared more loosely than it is: pairs of a kind and a value.
    certificate: dict[str, Any] = encrypted.getpeercert() or {}
    for _, name in certificate.get("subjectAltName", ()):
        # One label stands for the star.
        return str(name).replace("*", "any")
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    return str(dict(subject).get("commonName", ""))
