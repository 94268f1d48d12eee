import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.target.address import Address, parse


@pytest.mark.parametrize(
    ("url", "protocol", "expected"),
    [
        ("", "", Address("grpc", "localhost", 8001)),
        ("", "HTTP", Address("http", "localhost", 8000)),
        ("box", "", Address("grpc", "box", 8001)),
        ("box:9", "gRPC", Address("grpc", "box", 9)),
        ("10.0.0.1:9", "http", Address("http", "10.0.0.1", 9)),
        ("grpc://box", "grpc", Address("grpc", "box", 8001)),
        ("grpcs://box:443", "", Address("grpc", "box", 443, tls=True)),
        ("http://box", "", Address("http", "box", 8000)),
        ("HTTPS://box/", "", Address("http", "box", 8000, tls=True)),
        ("[::1]:9", "", Address("grpc", "::1", 9)),
        ("http://[fe80::1]", "", Address("http", "fe80::1", 8000)),
        ("unix:/run/a.sock", "", Address("grpc", path="/run/a.sock")),
        ("unix:///run/a.sock", "grpc", Address("grpc", path="/run/a.sock")),
    ],
)
def test_reads_addresses(url: str, protocol: str, expected: Address) -> None:
    assert parse(url, protocol) == expected


def test_certificates_ask_for_tls() -> None:
    assert parse("box", tls=True) == Address("grpc", "box", 8001, tls=True)
    assert parse("https://box", tls=True).tls


@pytest.mark.parametrize(
    ("address", "text", "authority", "url"),
    [
        (Address("grpc", "box", 9), "box:9", "box:9", "grpc://box:9"),
        (Address("http", "::1", 9, tls=True), "[::1]:9", "[::1]:9", "https://[::1]:9"),
        (Address("grpc", path="/a"), "unix:/a", "localhost", "unix:/a"),
    ],
)
def test_writes_addresses(address: Address, text: str, authority: str, url: str) -> None:
    assert (address.text, address.authority, address.url) == (text, authority, url)


@pytest.mark.parametrize(
    ("url", "protocol", "tls", "said"),
    [
        ("ftp://box", "", False, "found 'ftp://box'"),
        ("box:0", "", False, "found 'box:0'"),
        ("box:70000", "", False, "found 'box:70000'"),
        ("box:grpc", "", False, "found 'box:grpc'"),
        ("::1", "", False, "found '::1'"),
        ("[::1", "", False, "expected host:port"),
        ("[x::y]:9", "", False, "expected host:port"),
        ("a box:9", "", False, "expected host:port"),
        (":9", "", False, "expected host:port"),
        ("http://box/v2", "", False, "without a path"),
        ("http://me@box", "", False, "without a path or a user"),
        ("unix:a.sock", "", False, "absolute path"),
        ("unix:/a", "http", False, "options for HTTP"),
        ("unix:/a", "", True, "options for TLS"),
        ("box", "carrier-pigeon", False, "-i: found 'carrier-pigeon'"),
        ("http://box", "grpc", False, "asks for http, but -i for grpc"),
        ("grpc://box", "", True, "is not encrypted"),
    ],
)
def test_says_what_is_wrong(url: str, protocol: str, tls: bool, said: str) -> None:
    with pytest.raises(SetupError, match=r"-[ui]") as caught:
        parse(url, protocol, tls=tls)
    assert said in str(caught.value)
