"""A certificate authority for development: it says who is who in one trust domain.

The certificates are X.509-SVIDs, https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.identity.request import Request
from infermesh.identity.spiffe import SpiffeId
from infermesh.identity.times import point

#: Of an authority.
LIFE = timedelta(days=3652)

#: How far clocks of others may be behind, at most; of a short life a tenth.
_BACKDATED = timedelta(minutes=5)

#: What X.520 allows for a common name.
_MAX_COMMON_NAME = 64


@dataclass(frozen=True)
class Issued:
    """A leaf and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Authority:
    """Its certificate, which all who trust it have, and its key, which it keeps to itself."""

    trust_domain: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, trust_domain: str, now: datetime) -> Self:
        """A new one, for ten years; ``now`` is aware of its time zone."""
        key = ec.generate_private_key(ec.SECP256R1())
        # For people who read it: what is compared is the id, and the identifier of the key.
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "infermesh development"),
                x509.NameAttribute(NameOID.COMMON_NAME, trust_domain[:_MAX_COMMON_NAME]),
            ]
        )
        certificate = (
            _builder(name, key.public_key(), now - _BACKDATED, now + LIFE)
            .subject_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(_names(SpiffeId(trust_domain)), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(trust_domain, certificate, key)

    def issue(self, request: Request, now: datetime) -> Issued:
        """A new key and a certificate for it, valid from a little before ``now`` on.

        Raises ConfigurationError if it would outlive the authority, InfermeshError if that is over already.
        """
        self._check_life(request, now)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(
                self.certificate.subject,
                key.public_key(),
                now - min(_BACKDATED, request.ttl / 10),
                now + request.ttl,
            )
            # The names say it all, and are critical because there is no subject (RFC 5280, 4.1.2.6).
            .subject_name(x509.Name([]))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(
                _names(request.id, *map(x509.DNSName, request.dns), *map(x509.IPAddress, request.ips)),
                critical=True,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        return Issued(certificate, key)

    def _check_life(self, request: Request, now: datetime) -> None:
        end = self.certificate.not_valid_after_utc
        if now >= end:
            raise InfermeshError(
                f"the authority of {self.trust_domain} expired on {point(end)}",
                hint="make a new one with infermesh identity init --force, and issue every identity anew",
            )
        if now + request.ttl > end:
            raise ConfigurationError(
                f"--ttl: an identity would end on {point(now + request.ttl)}, and its authority ends "
                f"before that, on {point(end)}",
                hint="ask for less, or make a new authority with infermesh identity init --force",
            )


def _builder(
    issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _names(identity: SpiffeId, *others: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(identity)), *others])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """An authority signs certificates and nothing else, a leaf all but certificates."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
