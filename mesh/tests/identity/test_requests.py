"""What an identity is asked to be."""

import ipaddress
from datetime import timedelta

import pytest
from infermesh.errors import ConfigurationError
from infermesh.identity.request import Request


def test_a_name_and_a_whole_id_are_the_same() -> None:
    assert Request.of("td", "shop/web") == Request.of("td", "spiffe://td/shop/web")


def test_everything() -> None:
    found = Request.of(
        "td", "shop", ["localhost", "*.shop.svc", "my_app", "localhost"], ["127.0.0.1", "::1"], "30m"
    )

    assert str(found.id) == "spiffe://td/shop"
    assert found.dns == ("localhost", "*.shop.svc", "my_app")
    assert found.ips == (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
    assert found.ttl == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("spiffe://other/shop", "is of the trust domain other, and the authority here speaks for td"),
        ("spiffe://td", "names a trust domain, expected a path"),
        ("spiffe://td/", "empty"),
        ("https://td/shop", "does not begin with spiffe://"),
        ("", "empty"),
        ("shop web", "' '"),
        ("../shop", "'..'"),
    ],
)
def test_names_that_are_none(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Request.of("td", name)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("dns", "ips", "ttl", "said"),
    [
        (["a b"], [], "1h", "--dns: found 'a b'"),
        ([""], [], "1h", "--dns: found ''"),
        (["-a"], [], "1h", "--dns"),
        (["a..b"], [], "1h", "--dns"),
        (["a.*.b"], [], "1h", "--dns"),
        (["grüße"], [], "1h", "xn--"),
        (["a" * 64], [], "1h", "--dns"),
        ([".".join(["a" * 60] * 5)], [], "1h", "--dns"),
        (["127.0.0.1"], [], "1h", "--dns: found the IP address 127.0.0.1"),
        ([], ["localhost"], "1h", "--ip: found 'localhost'"),
        ([], ["10.0.0.0/8"], "1h", "--ip"),
        ([], [], "1", "--ttl: found '1'"),
        ([], [], "9s", "--ttl: found '9s', expected 10s or more"),
    ],
)
def test_options_that_are_wrong(dns: list[str], ips: list[str], ttl: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Request.of("td", "shop", dns, ips, ttl)
    assert said in str(refused.value)
