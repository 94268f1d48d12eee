"""What the local authority issues, as others check it: cryptography's rules for the web, and openssl."""

import datetime
import ipaddress
import shutil
import subprocess
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID
from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.identity import pem
from infermesh.identity.authority import LIFE, Authority
from infermesh.identity.request import Request

T = TypeVar("T", bound=x509.ExtensionType)

NOW = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
REQUEST = Request.of("td.example", "shop/web", ["localhost"], ["127.0.0.1", "::1"])


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("td.example", NOW)


def extension(certificate: x509.Certificate, kind: type[T]) -> x509.Extension[T]:
    return certificate.extensions.get_extension_for_class(kind)


def test_the_authority_says_for_whom_it_speaks(authority: Authority) -> None:
    it = authority.certificate

    key = it.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert it.issuer == it.subject
    it.verify_directly_issued_by(it)
    assert pem.uris(it) == ["spiffe://td.example"]
    constraints = extension(it, x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = extension(it, x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature
    assert it.not_valid_after_utc == NOW + LIFE
    assert it.not_valid_before_utc == NOW - 5 * MINUTE


def test_an_identity_is_an_svid(authority: Authority) -> None:
    it = authority.issue(REQUEST, NOW).certificate

    names = extension(it, x509.SubjectAlternativeName)
    assert pem.uris(it) == ["spiffe://td.example/shop/web"]
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.value.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("::1"),
    ]
    # RFC 5280, 4.1.2.6: without a subject they are.
    assert names.critical
    assert not it.subject.rdns
    assert extension(it, x509.BasicConstraints).value.ca is False
    usage = extension(it, x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not usage.value.crl_sign
    assert set(extension(it, x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    issuer_key = extension(authority.certificate, x509.SubjectKeyIdentifier).value.digest
    assert extension(it, x509.AuthorityKeyIdentifier).value.key_identifier == issuer_key


@pytest.mark.parametrize(
    ("ttl", "backdated"), [("24h", 300), ("1h", 300), ("50m", 300), ("10m", 60), ("10s", 1)]
)
def test_it_is_backdated_and_a_short_life_only_by_a_tenth(
    authority: Authority, ttl: str, backdated: int
) -> None:
    request = Request.of("td.example", "shop", ttl=ttl)
    it = authority.issue(request, NOW).certificate

    assert it.not_valid_before_utc == NOW - datetime.timedelta(seconds=backdated)
    assert it.not_valid_after_utc == NOW + request.ttl


def test_each_has_a_key_and_a_number_of_its_own(authority: Authority) -> None:
    several = [authority.issue(REQUEST, NOW) for _ in range(8)]

    assert len({it.certificate.serial_number for it in several}) == 8
    assert len({pem.encode_key(it.key) for it in several}) == 8
    for it in several:
        assert it.certificate.public_key() == it.key.public_key()


def test_the_rules_of_the_web_admit_it_as_a_server_and_as_a_client(authority: Authority) -> None:
    it = authority.issue(REQUEST, NOW).certificate
    policy = verification.PolicyBuilder().store(verification.Store([authority.certificate])).time(NOW)

    for subject in (
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ):
        assert policy.build_server_verifier(subject).verify(it, []) == [it, authority.certificate]
    assert policy.build_client_verifier().verify(it, []).chain == [it, authority.certificate]
    with pytest.raises(verification.VerificationError):
        policy.build_server_verifier(x509.DNSName("elsewhere")).verify(it, [])
    other = verification.Store([Authority.create("td.example", NOW).certificate])
    with pytest.raises(verification.VerificationError):
        verification.PolicyBuilder().store(other).time(NOW).build_client_verifier().verify(it, [])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command here")
def test_openssl_admits_it_as_a_server_and_as_a_client(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(pem.encode(authority.certificate))
    (tmp_path / "tls.crt").write_bytes(pem.encode(authority.issue(REQUEST, NOW).certificate))

    def openssl(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    verify = ("verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile", "ca.crt")
    for purpose in ("sslserver", "sslclient"):
        said = openssl(*verify, "-purpose", purpose, "-verify_hostname", "localhost", "tls.crt")
        assert said.returncode == 0, said.stderr
    assert openssl(*verify, "-verify_hostname", "elsewhere", "tls.crt").returncode != 0
    text = openssl("x509", "-in", "tls.crt", "-noout", "-text").stdout
    assert "URI:spiffe://td.example/shop/web" in text
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text
    assert "CA:FALSE" in text
    text = openssl("x509", "-in", "ca.crt", "-noout", "-text").stdout
    assert "CA:TRUE, pathlen:0" in text
    assert "URI:spiffe://td.example" in text


def test_the_longest_trust_domain() -> None:
    name = "a" * 255
    authority = Authority.create(name, NOW)

    assert pem.uris(authority.certificate) == [f"spiffe://{name}"]
    it = authority.issue(Request.of(name, "x"), NOW).certificate
    assert pem.uris(it) == [f"spiffe://{name}/x"]


def test_none_outlives_its_authority(authority: Authority) -> None:
    end = authority.certificate.not_valid_after_utc

    with pytest.raises(ConfigurationError, match="its authority ends before that"):
        authority.issue(Request.of("td.example", "shop", ttl="4000d"), NOW)
    assert authority.issue(REQUEST, end - REQUEST.ttl).certificate.not_valid_after_utc == end
    with pytest.raises(InfermeshError, match=f"the authority of td.example expired on {end:%Y-%m-%d}"):
        authority.issue(REQUEST, end)
