"""The local authority and what it issues, as files."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.identity import pem
from infermesh.identity.authority import Authority, Issued
from infermesh.identity.layout import AUTHORITY_KEY, OWN, read_identity, read_together
from infermesh.identity.publish import publish
from infermesh.identity.spiffe import SpiffeId


def save_authority(folder: Path, authority: Authority) -> None:
    """Write an authority, in place of the one before it; raises InfermeshError."""
    publish(
        folder,
        {OWN.bundle: pem.encode(authority.certificate), AUTHORITY_KEY: pem.encode_key(authority.key)},
    )
    try:
        # Keys do not belong into a repository.
        (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise InfermeshError(f"cannot write {folder / '.gitignore'}: {error.strerror}") from error


def has_authority(folder: Path) -> bool:
    """Whether there is one, or a part of one."""
    return any((folder / name).exists() for name in (OWN.bundle, AUTHORITY_KEY))


def load_authority(folder: Path) -> Authority:
    """Read an authority that can issue.

    Raises ConfigurationError if there is none, and InfermeshError if what is there is none or cannot be read.
    """
    certificate_part, key_part = read_together(folder, (OWN.bundle, AUTHORITY_KEY))
    if certificate_part is None or key_part is None:
        missing = OWN.bundle if certificate_part is None else AUTHORITY_KEY
        raise ConfigurationError(
            f"there is no authority in {folder}: {missing} is missing",
            hint="make one with infermesh identity init, or name its folder with --dir",
        )
    certificate, key = pem.certificates(certificate_part)[0], pem.private_key(key_part)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise InfermeshError(
            f"{key_part.path} is not the key of {certificate_part.path}",
            hint="put back the file that belongs to it, or make a new authority with init --force",
        )
    return Authority(_trust_domain(certificate, certificate_part.path), certificate, key)


def save_identity(folder: Path, issued: Issued, authority: Authority) -> None:
    """Write an identity, all of it at once, in place of the one before it; raises InfermeshError."""
    publish(
        folder,
        {
            OWN.certificate: pem.encode(issued.certificate),
            OWN.key: pem.encode_key(issued.key),
            OWN.bundle: pem.encode(authority.certificate),
        },
    )


def holder(folder: Path) -> str | None:
    """Whose identity lies in a folder; None if there is none, or none that can be read."""
    try:
        uris = pem.uris(pem.certificates(read_identity(folder).certificate)[0])
    except InfermeshError:
        return None
    return uris[0] if uris else None


def _trust_domain(certificate: x509.Certificate, path: Path) -> str:
    uris = pem.uris(certificate)
    if len(uris) != 1:
        raise InfermeshError(
            f"{path} is not the certificate of a SPIFFE authority: found {len(uris)} URIs among its names, "
            "expected its trust domain",
            hint="make one with infermesh identity init",
        )
    return SpiffeId.parse(uris[0]).trust_domain
