"""What is in the files of an identity or an authority, and what is wrong with it. Pure: it is given the time.

What an identity must be is in https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md, section 5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.identity import chain, pem
from infermesh.identity.layout import Files, Part
from infermesh.identity.renewal import renewal_time
from infermesh.identity.spiffe import SpiffeId
from infermesh.identity.times import describe, point

T = TypeVar("T")
E = TypeVar("E", bound=x509.ExtensionType)

_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}
_RENEW_IDENTITY = "issue it anew, and see why nobody did: infermesh identity issue --watch keeps one valid"
_RENEW_AUTHORITY = "make a new one, issue anew what it has issued, and give everybody the new bundle"

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True)
class Problem:
    """Something for which others will refuse it, and what to do about it if that is known."""

    what: str
    remedy: str | None


@dataclass(frozen=True)
class Validity:
    """From when to when, both included and in UTC."""

    begins: datetime
    ends: datetime

    def share_left(self, now: datetime) -> float:
        """Of its life, between 0 and 1."""
        return min(max((self.ends - now) / (self.ends - self.begins), 0.0), 1.0)


@dataclass(frozen=True)
class Identity:
    """A leaf and what lies beside it. ``None`` is what is not there to be told or looked at."""

    path: Path
    id: str | None
    issuer: str
    #: In hexadecimal digits.
    serial: str
    validity: Validity
    #: At 70 % of its life.
    renewal: datetime
    dns: tuple[str, ...]
    ips: tuple[str, ...]
    #: Empty: for everything.
    usages: tuple[str, ...]
    key_kind: str
    key_fits: bool | None
    bundle: Path | None
    #: The subject of the authority in the bundle that it leads to.
    trusted_by: str | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Authority:
    """The certificate of an authority, and whether its key lies beside it."""

    path: Path
    id: str | None
    subject: str
    validity: Validity
    key_kind: str
    key_fits: bool | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Unreadable:
    """A folder whose certificate cannot be looked at."""

    path: Path
    problems: tuple[Problem, ...]


class _Findings:
    """Carries on after what is wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def of(self, look: Callable[[], T]) -> T | None:
        """What a look returns; None, and a problem, if it raises."""
        try:
            return look()
        except InfermeshError as error:
            self.problems.append(Problem(str(error), error.hint))
            return None


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate may have issued others."""
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def identity(path: Path, files: Files, now: datetime, bundle: Part | None = None) -> Identity:
    """Look at an identity, held against its own bundle or another one.

    Raises InfermeshError if there is no certificate to look at.
    """
    leaf, *between = pem.certificates(files.certificate)
    findings = _Findings()
    names = pem.names(leaf)
    bundle = bundle or files.bundle
    found_id = findings.of(lambda: _id(leaf))
    findings.of(lambda: _check_leaf(leaf))
    validity = Validity(leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    findings.of(lambda: _check_time(validity, now, _RENEW_IDENTITY))
    findings.of(lambda: _check_whole(files))
    key_fits = findings.of(lambda: _fits(files.key, leaf))
    authority = findings.of(lambda: _authority(leaf, between, bundle, found_id, now))
    return Identity(
        path=path,
        id=None if found_id is None else str(found_id),
        issuer=chain.name(leaf.issuer),
        serial=f"{leaf.serial_number:x}",
        validity=validity,
        renewal=renewal_time(leaf),
        dns=tuple(names.get_values_for_type(x509.DNSName)),
        ips=tuple(map(str, names.get_values_for_type(x509.IPAddress))),
        usages=_usages(leaf),
        key_kind=_kind(leaf),
        key_fits=key_fits,
        bundle=None if bundle is None else bundle.path,
        trusted_by=None if authority is None else chain.name(authority.subject),
        problems=tuple(findings.problems),
    )


def authority(path: Path, part: Part, key: Part | None, now: datetime) -> Authority:
    """Look at an authority; raises InfermeshError if there is no certificate to look at."""
    certificate = pem.certificates(part)[0]
    findings = _Findings()
    uris = pem.uris(certificate)
    validity = Validity(certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    findings.of(lambda: _check_time(validity, now, _RENEW_AUTHORITY))
    findings.of(lambda: _check_signing(certificate))
    return Authority(
        path=path,
        id=uris[0] if uris else None,
        subject=chain.name(certificate.subject),
        validity=validity,
        key_kind=_kind(certificate),
        key_fits=findings.of(lambda: _fits(key, certificate)),
        problems=tuple(findings.problems),
    )


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _id(leaf: x509.Certificate) -> SpiffeId:
    uris = pem.uris(leaf)
    if len(uris) != 1:
        found = ", ".join(uris) or f"none (its subject is {chain.name(leaf.subject)})"
        raise InfermeshError(
            f"found {len(uris)} URIs among its names, expected one SPIFFE id: {found}",
            hint="cert-manager takes it in spec.uris of a Certificate",
        )
    try:
        found_id = SpiffeId.parse(uris[0])
    except ConfigurationError as error:
        raise InfermeshError(str(error), error.hint) from error
    if not found_id.path:
        raise InfermeshError(f"{found_id} names a trust domain, expected somebody in it: a path behind it")
    return found_id


def _check_leaf(leaf: x509.Certificate) -> None:
    if is_authority(leaf):
        raise InfermeshError(
            "the first certificate is that of an authority, which nobody may present",
            hint="put the leaf first, and those between it and its authority behind it",
        )
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and (usage.key_cert_sign or usage.crl_sign or not usage.digital_signature):
        raise InfermeshError(
            "its key usage is not that of a leaf: expected digitalSignature, and no signing of others"
        )
    missing = [name for name in _USAGES.values() if name not in (_usages(leaf) or _USAGES.values())]
    if missing:
        raise InfermeshError(
            f"its extended key usage lacks {', '.join(missing)}, expected serverAuth and clientAuth",
            hint="an identity is a server to some and a client to others; cert-manager takes 'server auth' "
            "and 'client auth' in spec.usages",
        )


def _check_signing(certificate: x509.Certificate) -> None:
    usage = _extension(certificate, x509.KeyUsage)
    if not is_authority(certificate) or (usage is not None and not usage.key_cert_sign):
        raise InfermeshError("it may not issue certificates: expected an authority (CA) with keyCertSign")


def _check_time(validity: Validity, now: datetime, remedy: str) -> None:
    if now > validity.ends:
        raise InfermeshError(
            f"it expired {describe(now - validity.ends)} ago, on {point(validity.ends)}",
            hint=remedy,
        )
    if now < validity.begins:
        raise InfermeshError(
            f"it is not valid before {point(validity.begins)}, in {describe(validity.begins - now)}",
            hint="check the clocks of this machine and of the one that issued it",
        )


def _check_whole(files: Files) -> None:
    if files.layout is None:
        return
    expected = {files.layout.key: files.key, files.layout.bundle: files.bundle}
    missing = [name for name, part in expected.items() if part is None]
    if missing:
        raise InfermeshError(
            f"{files.certificate.path.parent} has no {' and no '.join(missing)}",
            hint=f"expected {files.layout} there",
        )


def _fits(part: Part | None, certificate: x509.Certificate) -> bool | None:
    if part is None:
        return None
    if pem.private_key(part).public_key() != certificate.public_key():
        raise InfermeshError(
            f"the key in {part.path} is not that of the certificate",
            hint="put files that belong together there; if somebody was just replacing them, look again",
        )
    return True


def _authority(
    leaf: x509.Certificate,
    between: list[x509.Certificate],
    bundle: Part | None,
    leaf_id: SpiffeId | None,
    now: datetime,
) -> x509.Certificate | None:
    if bundle is None:
        return None
    found = chain.authority_of(leaf, between, pem.certificates(bundle), named=bundle.path, now=now)
    other = next((uri for uri in pem.uris(found) if uri.startswith("spiffe://")), None)
    if leaf_id is not None and other is not None and other != f"spiffe://{leaf_id.trust_domain}":
        raise InfermeshError(
            f"its authority speaks for {other}, and not for {leaf_id.trust_domain}",
            hint="have it issued by the authority of its trust domain",
        )
    return found


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    usages = _extension(certificate, x509.ExtendedKeyUsage)
    return () if usages is None else tuple(_USAGES.get(oid, oid.dotted_string) for oid in usages)


def _kind(certificate: x509.Certificate) -> str:
    match certificate.public_key():
        case ec.EllipticCurvePublicKey() as key:
            return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
        case rsa.RSAPublicKey() as key:
            return f"RSA {key.key_size}"
        case key:
            return type(key).__name__.removesuffix("PublicKey")
