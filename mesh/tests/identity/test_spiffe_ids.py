"""SPIFFE ids: what the specification allows, and what is said about the rest."""

import pytest
from infermesh.errors import ConfigurationError
from infermesh.identity.spiffe import MAX_ID, SpiffeId, parse_trust_domain

LONGEST_PATH = "a" * (MAX_ID - len("spiffe://td/"))


@pytest.mark.parametrize(
    ("text", "trust_domain", "path"),
    [
        ("spiffe://td", "td", ""),
        ("spiffe://local.infermesh/fraud", "local.infermesh", "/fraud"),
        ("spiffe://a-b_c.1/ns/prod/sa/Web.v2_x-y", "a-b_c.1", "/ns/prod/sa/Web.v2_x-y"),
        ("spiffe://1.2.3.4/service", "1.2.3.4", "/service"),
        ("spiffe://td/...", "td", "/..."),
        (f"spiffe://{'a' * 255}/x", "a" * 255, "/x"),
        (f"spiffe://td/{LONGEST_PATH}", "td", f"/{LONGEST_PATH}"),
    ],
)
def test_what_is_one(text: str, trust_domain: str, path: str) -> None:
    found = SpiffeId.parse(text)

    assert (found.trust_domain, found.path) == (trust_domain, path)
    assert str(found) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with spiffe://"),
        ("fraud", "does not begin with spiffe://"),
        ("https://td/x", "does not begin with spiffe://"),
        ("SPIFFE://td/x", "does not begin with spiffe://"),
        ("spiffe:td/x", "does not begin with spiffe://"),
        ("spiffe://", "trust domain is empty"),
        ("spiffe:///x", "trust domain is empty"),
        ("spiffe://Td/x", "'T'"),
        ("spiffe://td:8443/x", "':' (a port"),
        ("spiffe://me@td/x", "'@' (a user)"),
        ("spiffe://td!/x", "'!'"),
        ("spiffe://[::1]/x", "'['"),
        ("spiffe://tü/x", "'ü'"),
        (f"spiffe://{'a' * 256}/x", "256 characters, expected 255"),
        ("spiffe://td/x?a=b", "a query"),
        ("spiffe://td/x?", "a query"),
        ("spiffe://td/x#part", "a fragment"),
        ("spiffe://td/%61", "an escaped character"),
        ("spiffe://td/", "segment of its path is empty"),
        ("spiffe://td/x/", "segment of its path is empty"),
        ("spiffe://td//x", "segment of its path is empty"),
        ("spiffe://td/./x", "'.'"),
        ("spiffe://td/x/..", "'..'"),
        ("spiffe://td/x y", "' '"),
        ("spiffe://td/x\n", r"'\n'"),
        ("spiffe://td/ü", "'ü'"),
        ("spiffe://td/a:b", "':'"),
        (f"spiffe://td/{LONGEST_PATH}a", f"{MAX_ID + 1} characters, expected {MAX_ID}"),
    ],
)
def test_what_is_none(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        SpiffeId.parse(text)

    assert said in str(refused.value)
    assert "expected" in str(refused.value)
    # Whatever was given: what is said about it can be read.
    assert len(str(refused.value)) < 500 or len(text) > 300


def test_of_a_name() -> None:
    assert str(SpiffeId.of("td", "shop/web")) == "spiffe://td/shop/web"
    for name in ("", "/shop", "shop/", "a//b", ".."):
        with pytest.raises(ConfigurationError):
            SpiffeId.of("td", name)


def test_a_trust_domain_alone() -> None:
    assert parse_trust_domain("local.infermesh") == "local.infermesh"
    with pytest.raises(ConfigurationError, match=r"a port, or a scheme"):
        parse_trust_domain("spiffe://local.infermesh")


def test_they_can_be_compared_and_looked_up() -> None:
    assert {SpiffeId.parse("spiffe://td/a"): 1}[SpiffeId("td", "/a")] == 1
    assert SpiffeId("td", "/a") < SpiffeId("td", "/b")
