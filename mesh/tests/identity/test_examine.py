"""What is said about an identity: each fault by itself, and what is no fault."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from infermesh.errors import InfermeshError
from infermesh.identity import examine
from infermesh.identity.layout import OWN, Files
from support import svids
from support.svids import HOUR, NOW, Entity

PATH = Path("somewhere")


@pytest.fixture(scope="module")
def root() -> Entity:
    return svids.authority()


def look(files: Files, now: object = NOW) -> examine.Identity:
    assert isinstance(now, type(NOW))
    return examine.identity(PATH, files, now)


def only_problem(files: Files, now: object = NOW) -> str:
    (problem,) = look(files, now).problems
    return f"{problem.what} / {problem.remedy}"


def test_one_that_is_in_order(root: Entity) -> None:
    found = look(replace(svids.files(svids.leaf(root), root), layout=OWN))

    assert found.problems == ()
    assert found.id == "spiffe://td.example/shop"
    assert found.issuer == "CN=root"
    assert found.trusted_by == "CN=root"
    assert found.key_fits is True
    assert found.key_kind == "EC P-256"
    assert set(found.usages) == {"serverAuth", "clientAuth"}
    assert found.validity.share_left(NOW) == 0.5
    assert NOW < found.renewal < NOW + HOUR


def test_what_others_issue_is_in_order_too(root: Entity) -> None:
    """Without extended usages, with intermediates, under an authority without an id, with an RSA key."""
    between = svids.authority("between", by=root, uri=None)
    key = rsa.generate_private_key(65537, 2048)
    leaf = svids.leaf(between, usages=(), key=key)

    found = look(svids.files(leaf, root, between))

    assert found.problems == ()
    assert found.usages == ()
    assert found.key_kind == "RSA 2048"
    assert found.trusted_by == "CN=root"
    # An intermediate may be what is trusted.
    assert look(svids.files(svids.leaf(between), between)).trusted_by == "CN=between"


def test_a_certificate_alone(root: Entity) -> None:
    found = look(Files(svids.part(svids.leaf(root).pem), None, None))

    assert found.problems == ()
    assert found.key_fits is None
    assert found.trusted_by is None


def test_over(root: Entity) -> None:
    files = svids.files(svids.leaf(root), root)

    assert look(files, NOW + HOUR).problems == ()
    said = only_problem(files, NOW + HOUR + timedelta(minutes=12))
    assert "it expired 12 min ago, on 2030-01-01 01:00:00 UTC" in said
    assert "--watch" in said


def test_not_yet(root: Entity) -> None:
    said = only_problem(svids.files(svids.leaf(root, begins=NOW + HOUR / 2), root))

    assert "not valid before 2030-01-01 00:30:00 UTC, in 30 min" in said
    assert "clocks" in said


def test_the_key_of_another(root: Entity) -> None:
    files = svids.files(svids.leaf(root), root)
    other = svids.part(svids.leaf(root).key_pem, "tls.key")

    assert "the key in tls.key is not that of the certificate" in only_problem(replace(files, key=other))


def test_keys_that_cannot_be_used(root: Entity) -> None:
    leaf = svids.leaf(root)
    files = svids.files(leaf, root)
    locked = leaf.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    broken = leaf.key_pem.replace(b"\nM", b"\nX", 1)

    assert "is encrypted" in only_problem(replace(files, key=svids.part(locked)))
    assert "cannot be read" in only_problem(replace(files, key=svids.part(broken)))
    assert "holds no private key in PEM" in only_problem(replace(files, key=svids.part(b"x")))


def test_what_is_missing_in_a_folder(root: Entity) -> None:
    files = svids.files(svids.leaf(root), root)

    said = only_problem(replace(files, key=None, layout=OWN))
    assert "has no tls.key / expected tls.crt, tls.key and ca.crt (cert-manager) there" in said
    said = only_problem(replace(files, key=None, bundle=None, layout=OWN))
    assert "has no tls.key and no ca.crt" in said


def test_the_authority_of_somebody_else(root: Entity) -> None:
    other = svids.authority("other", uri="spiffe://other.example")

    said = only_problem(svids.files(svids.leaf(root), other))
    assert "issued by CN=root, which is not in ca.crt: there is CN=other" in said


def test_an_authority_that_was_made_anew(root: Entity) -> None:
    said = only_problem(svids.files(svids.leaf(root), svids.authority()))

    assert "the authority CN=root in ca.crt has another key" in said
    assert "issue this identity anew" in said


def test_a_way_to_the_authority_that_is_not_there(root: Entity) -> None:
    between = svids.authority("between", by=root)

    said = only_problem(svids.files(svids.leaf(between), root))
    assert "issued by CN=between, which is not in ca.crt: there is CN=root" in said


def test_a_way_that_is_too_long() -> None:
    short = svids.authority("short", path_length=0)
    between = svids.authority("between", by=short)

    said = only_problem(svids.files(svids.leaf(between), short, between))
    assert "path length" in said


def test_an_authority_that_is_over(root: Entity) -> None:
    over = svids.authority(key=root.key, ends=NOW - HOUR / 2)

    said = only_problem(svids.files(svids.leaf(root), over))
    assert "no authority in ca.crt is valid: CN=root is from" in said
    assert "to 2029-12-31 23:30:00 UTC" in said


def test_a_bundle_with_an_old_and_a_new_authority(root: Entity) -> None:
    over = svids.authority(ends=NOW - HOUR)
    files = svids.files(svids.leaf(root), root)
    both = svids.part(over.pem + root.pem, "ca.crt")

    assert look(replace(files, bundle=both)).problems == ()


@pytest.mark.parametrize(
    "contents", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_bundle_that_is_none(root: Entity, contents: bytes) -> None:
    files = replace(svids.files(svids.leaf(root), root), bundle=svids.part(contents, "ca.crt"))

    assert "ca.crt" in only_problem(files)


def test_an_authority_of_another_trust_domain(root: Entity) -> None:
    leaf = svids.leaf(root, uris=["spiffe://other.example/shop"])

    said = only_problem(svids.files(leaf, root))
    assert "its authority speaks for spiffe://td.example, and not for other.example" in said


@pytest.mark.parametrize(
    ("uris", "said"),
    [
        ([], "found 0 URIs among its names, expected one SPIFFE id: none (its subject is CN=leaf)"),
        (["spiffe://td.example/a", "spiffe://td.example/b"], "found 2 URIs"),
        (["https://td.example/a"], "does not begin with spiffe://"),
        (["spiffe://td.example"], "names a trust domain, expected somebody in it"),
        (["spiffe://td.example/a//b"], "a segment of its path is empty"),
    ],
)
def test_names_that_are_no_identity(root: Entity, uris: list[str], said: str) -> None:
    found = look(svids.files(svids.leaf(root, uris=uris), root))

    assert found.id is None
    (problem,) = found.problems
    assert said in problem.what


@pytest.mark.parametrize("missing", ["serverAuth", "clientAuth"])
def test_half_of_the_usages(root: Entity, missing: str) -> None:
    kept = ExtendedKeyUsageOID.CLIENT_AUTH if missing == "serverAuth" else ExtendedKeyUsageOID.SERVER_AUTH

    said = only_problem(svids.files(svids.leaf(root, usages=[kept]), root))
    assert f"lacks {missing}, expected serverAuth and clientAuth" in said


def test_one_that_may_sign_others(root: Entity) -> None:
    said = only_problem(svids.files(svids.leaf(root, key_usage=svids.usage(sign=True)), root))
    assert "its key usage is not that of a leaf" in said

    said = only_problem(svids.files(svids.leaf(root, ca=True), root))
    assert "the first certificate is that of an authority" in said


def test_everything_at_once(root: Entity) -> None:
    leaf = svids.leaf(root, uris=[], usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    files = replace(svids.files(leaf, svids.authority("other")), key=svids.part(b"x"))

    assert len(look(files, NOW + 2 * HOUR).problems) == 5


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"", "tls.crt holds no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nnonsense", "cannot be read"),
    ],
)
def test_nothing_to_look_at(contents: bytes, said: str) -> None:
    with pytest.raises(InfermeshError) as refused:
        look(Files(svids.part(contents, "tls.crt"), None, None))
    assert said in str(refused.value)


def test_authorities(root: Entity) -> None:
    def authority(it: Entity, key: Entity | None = None) -> examine.Authority:
        part = None if key is None else svids.part(key.key_pem, "ca.key")
        return examine.authority(PATH, svids.part(it.pem, "ca.crt"), part, NOW)

    found = authority(root, root)
    assert (found.id, found.subject, found.key_fits) == ("spiffe://td.example", "CN=root", True)
    assert found.problems == ()
    assert authority(root).key_fits is None
    assert authority(root).problems == ()
    assert "ca.key is not that" in authority(root, svids.authority()).problems[0].what
    (over,) = authority(svids.authority(ends=NOW - HOUR)).problems
    assert "it expired 1 h ago" in over.what
    assert "make a new one" in (over.remedy or "")
    assert "may not issue certificates" in authority(svids.leaf(root)).problems[0].what
    assert authority(svids.authority(uri=None)).id is None
