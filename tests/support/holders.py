"""Somebody with an identity, which is replaced now and then."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from infermesh.identity import pem
from infermesh.identity.authority import Authority
from infermesh.identity.layout import OWN
from infermesh.identity.publish import publish
from infermesh.identity.request import Request
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb

TRUST_DOMAIN = "local.infermesh"


def authority() -> Authority:
    """One that speaks for the trust domain; there may be several, one after the other."""
    return Authority.create(TRUST_DOMAIN, datetime.datetime.now(datetime.UTC))


@dataclass(eq=False)
class Holder:
    """Its files are in a folder."""

    name: str
    folder: Path
    #: Of the certificate that was issued last.
    serial: int = 0

    @property
    def id(self) -> str:
        """Who it is to others."""
        return f"spiffe://{TRUST_DOMAIN}/{self.name}"

    @property
    def files(self) -> pb.Identity:
        """As a proxy is told of them."""
        names = (OWN.certificate, OWN.key, OWN.bundle)
        certificate, key, bundle = (str(self.folder / name) for name in names)
        return pb.Identity(certificate_file=certificate, key_file=key, authorities_file=bundle)

    def renew(self, by: Authority, *trusts: Authority) -> None:
        """Replace all files at once."""
        issued = by.issue(Request.of(TRUST_DOMAIN, self.name), datetime.datetime.now(datetime.UTC))
        files = {
            OWN.certificate: pem.encode(issued.certificate),
            OWN.key: pem.encode_key(issued.key),
            OWN.bundle: b"".join(pem.encode(it.certificate) for it in trusts),
        }
        publish(self.folder, files)
        self.serial = issued.certificate.serial_number

    def load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Let a context of Python's be this one; connections that it makes from now on."""
        context.load_cert_chain(self.folder / OWN.certificate, self.folder / OWN.key)
        context.load_verify_locations(self.folder / OWN.bundle)
        context.set_alpn_protocols(["h2"])
        return context

    def server(self) -> ssl.SSLContext:
        """A context that takes clients of the trust domain."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        return self.load(context)

    def client(self) -> ssl.SSLContext:
        """A context that takes any server of the trust domain, whatever its host is called."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        return self.load(context)


def peer_serial(secured: ssl.SSLSocket) -> int:
    """Of the certificate that the other side has shown."""
    shown = secured.getpeercert()
    assert shown is not None
    return int(str(shown["serialNumber"]), 16)
