"""Certificates and keys in PEM. All that reads raises InfermeshError, naming where the text is from."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from infermesh.errors import InfermeshError
from infermesh.identity.layout import Part


def certificates(part: Part) -> list[x509.Certificate]:
    """All certificates of a file, in their order; at least one."""
    if b"-----BEGIN CERTIFICATE-----" not in part.contents:
        raise InfermeshError(
            f"{part.path} holds no certificate in PEM",
            hint="expected a block that begins with '-----BEGIN CERTIFICATE-----'",
        )
    try:
        found = x509.load_pem_x509_certificates(part.contents)
        for certificate in found:
            # Read now: what is wrong in it is found here and not where it is used.
            _ = certificate.extensions, certificate.subject, certificate.issuer
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise InfermeshError(f"a certificate in {part.path} cannot be read: {error}") from error
    return found


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    """Whom a certificate is for; empty if it does not say."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def uris(certificate: x509.Certificate) -> list[str]:
    """Those of its names that are URIs, as SPIFFE ids are."""
    return names(certificate).get_values_for_type(x509.UniformResourceIdentifier)


def has_key(part: Part) -> bool:
    """Whether there is a key among what a file holds."""
    return b"PRIVATE KEY-----" in part.contents


def private_key(part: Part) -> PrivateKeyTypes:
    """The key in a file."""
    if not has_key(part):
        raise InfermeshError(
            f"{part.path} holds no private key in PEM",
            hint="expected a block that begins with '-----BEGIN PRIVATE KEY-----'",
        )
    try:
        return serialization.load_pem_private_key(part.contents, password=None)
    except TypeError as error:
        raise InfermeshError(
            f"the key in {part.path} is encrypted",
            hint="give it without a password: nobody is there to type it",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InfermeshError(f"the key in {part.path} cannot be read: {error}") from error


def encode(certificate: x509.Certificate) -> bytes:
    """A certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def encode_key(key: PrivateKeyTypes) -> bytes:
    """A key in PEM (PKCS #8), not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
