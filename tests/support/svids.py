"""Certificates that others issue: with intermediates, with what is wrong in them."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from infermesh.identity import pem
from infermesh.identity.layout import Files, Part

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Entity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return pem.encode(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """The key."""
        return pem.encode_key(self.key)


def part(contents: bytes, name: str = "file.pem") -> Part:
    """A file that is nowhere."""
    return Part(Path(name), contents)


def files(leaf: Entity, authority: Entity, *between: Entity) -> Files:
    """The three files of an identity."""
    chain = b"".join(it.pem for it in (leaf, *between))
    return Files(part(chain, "tls.crt"), part(leaf.key_pem, "tls.key"), part(authority.pem, "ca.crt"))


def authority(
    name: str = "root",
    *,
    by: Entity | None = None,
    uri: str | None = "spiffe://td.example",
    ends: datetime.datetime = NOW + 1000 * HOUR,
    key: Key | None = None,
    path_length: int | None = None,
) -> Entity:
    """A root, or one that another one stands by."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name if by is None else _common_name(by), key, ends).add_extension(
        x509.BasicConstraints(ca=True, path_length=path_length), critical=True
    )
    if uri is not None:
        builder = builder.add_extension(_names([uri]), critical=False)
    builder = builder.add_extension(usage(sign=True), critical=True)
    return Entity(builder.sign((by.key if by is not None else key), hashes.SHA256()), key)


def leaf(
    by: Entity,
    *,
    uris: Sequence[str] = ("spiffe://td.example/shop",),
    begins: datetime.datetime = NOW - HOUR,
    ends: datetime.datetime = NOW + HOUR,
    ca: bool = False,
    usages: Sequence[x509.ObjectIdentifier] = BOTH,
    key_usage: x509.KeyUsage | None = None,
    key: Key | None = None,
) -> Entity:
    """Somebody, in every respect in order unless another respect is asked for."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = _builder("leaf", _common_name(by), key, ends, begins)
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    builder = builder.add_extension(key_usage or usage(sign=False), critical=True)
    if uris:
        builder = builder.add_extension(_names(uris), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
    return Entity(builder.sign(by.key, hashes.SHA256()), key)


def usage(*, sign: bool) -> x509.KeyUsage:
    """Of an authority, or of a leaf."""
    return x509.KeyUsage(
        digital_signature=not sign,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(uris: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])


def _common_name(of: Entity) -> str:
    (attribute,) = of.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


def _builder(
    subject: str, issuer: str, key: Key, ends: datetime.datetime, begins: datetime.datetime = NOW - 10 * HOUR
) -> x509.CertificateBuilder:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins if begins < ends else ends - HOUR)
        .not_valid_after(ends)
    )
