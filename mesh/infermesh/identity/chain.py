"""Whether a certificate leads to an authority that is trusted, and if not, why."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import verification

from infermesh.errors import InfermeshError
from infermesh.identity.times import point

#: Bundles are small; an error names a few of what is in one.
_NAMED = 4


def authority_of(
    leaf: x509.Certificate,
    between: Sequence[x509.Certificate],
    bundle: Sequence[x509.Certificate],
    *,
    named: Path,
    now: datetime,
) -> x509.Certificate:
    """The certificate of the bundle that a leaf leads to, through those ``between`` if need be.

    That is path validation after RFC 5280, section 6.1; whether the leaf itself is over, or not yet valid, is
    looked at elsewhere. ``named`` is the bundle's file. Raises InfermeshError that says why it leads to none,
    and what to do about it.
    """
    moment = min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc)
    lasting = [it for it in bundle if it.not_valid_before_utc <= moment <= it.not_valid_after_utc]
    if not lasting:
        it = bundle[0]
        raise InfermeshError(
            f"no authority in {named} is valid: {name(it.subject)} is from "
            f"{point(it.not_valid_before_utc)} to {point(it.not_valid_after_utc)}",
            hint="renew the authority, and issue what it has issued anew",
        )
    try:
        verified = _policy(lasting, moment).build_client_verifier().verify(leaf, list(between))
    except verification.VerificationError as error:
        raise _why(leaf, between, lasting, named, error) from error
    return verified.chain[-1]


def name(of: x509.Name) -> str:
    """A subject or an issuer, for people."""
    return of.rfc4514_string() or "(no name)"


def _policy(authorities: Sequence[x509.Certificate], moment: datetime) -> verification.PolicyBuilder:
    # Authorities within a company seldom have all that those of the web must have. What a leaf must have is
    # looked at elsewhere.
    any_leaf = verification.ExtensionPolicy.permit_all()
    any_authority = any_leaf.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    return (
        verification.PolicyBuilder()
        .store(verification.Store(list(authorities)))
        .time(moment)
        .extension_policies(ca_policy=any_authority, ee_policy=any_leaf)
    )


def _why(
    leaf: x509.Certificate,
    between: Sequence[x509.Certificate],
    bundle: Sequence[x509.Certificate],
    named: Path,
    error: verification.VerificationError,
) -> InfermeshError:
    last = _last(leaf, between)
    issuer = name(last.issuer)
    if all(it.subject != last.issuer for it in bundle):
        there = ", ".join(name(it.subject) for it in bundle[:_NAMED]) + (", ..." if bundle[_NAMED:] else "")
        return InfermeshError(
            f"it was issued by {issuer}, which is not in {named}: there is {there}",
            hint="use the bundle of the authority that issued it, or have it issued by one in this bundle",
        )
    if not any(_signed(last, it) for it in bundle):
        return InfermeshError(
            f"the authority {issuer} in {named} has another key than the one that issued it",
            hint="the authority was made anew: issue this identity anew, and give everybody the new bundle",
        )
    return InfermeshError(f"it does not lead to an authority in {named}: {error}")


def _last(leaf: x509.Certificate, between: Sequence[x509.Certificate]) -> x509.Certificate:
    """Where the way from the leaf ends, as far as the names go."""
    last, left = leaf, list(between)
    while (above := next((it for it in left if it.subject == last.issuer), None)) is not None:
        left.remove(above)
        last = above
    return last


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
