"""Encrypted targets: who is trusted, who is not, and what is said about it."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.target.connect import connect
from infermesh_perf.target.target import target
from infermesh_perf.target.tls import TlsFiles
from support.certificates import Authority
from support.load_targets import serving_targets
from support.repository import Repository
from support.rest import HTTP
from support.server import LOOPBACK, Server, serving


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def files(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority, a pair of the server's and one of a client."""
    folder = tmp_path_factory.mktemp("tls")
    authority.issue("server").write(folder, "server")
    authority.issue("client").write(folder, "client")
    (folder / "ca.crt").write_bytes(authority.certificate)
    (folder / "other.crt").write_bytes(Authority("somebody else").certificate)
    return folder


def secured(files: Path, name: str, *, mutual: bool) -> list[str | Path]:
    options: list[str | Path] = []
    for edge in ("grpc", "http"):
        options += [
            f"--{edge}-server-cert",
            files / f"{name}.crt",
            f"--{edge}-server-key",
            files / f"{name}.key",
        ]
        options += (
            [f"--{edge}-use-ssl-mutual", f"--{edge}-root-cert", files / "ca.crt"]
            if mutual
            else [f"--{edge}-use-ssl"]
        )
    return options


@pytest.fixture(scope="module")
def encrypted(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving_targets(
        tmp_path_factory.mktemp("encrypted"), *secured(files, "server", mutual=False)
    ) as server:
        yield server


@pytest.fixture(scope="module")
def mutual(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = Repository.make(tmp_path_factory.mktemp("mutual")).root
    with serving(root, *LOOPBACK, *HTTP, *secured(files, "server", mutual=True)) as server:
        yield server


def url(server: Server, protocol: str, host: str = "127.0.0.1") -> str:
    return f"{protocol}s://{host}:{server.port if protocol == 'grpc' else server.http_port}"


PROTOCOLS = pytest.mark.parametrize("protocol", ["grpc", "http"])


@PROTOCOLS
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_authority_that_is_named_is_trusted(
    encrypted: Server, files: Path, protocol: str, host: str
) -> None:
    with connect(target(url(encrypted, protocol, host), tls=TlsFiles(cacert=files / "ca.crt"))) as api:
        assert api.server().name == "infermesh"


@PROTOCOLS
def test_others_are_not(encrypted: Server, files: Path, protocol: str) -> None:
    for tls in (TlsFiles(), TlsFiles(cacert=files / "other.crt")):
        with pytest.raises(SetupError, match=r"the certificate of .* is not accepted: ") as caught:
            connect(target(url(encrypted, protocol), tls=tls))
        assert "--cacert" in str(caught.value.hint)


@PROTOCOLS
def test_a_name_that_the_certificate_lacks(encrypted: Server, files: Path, protocol: str) -> None:
    tls = TlsFiles(cacert=files / "ca.crt", server_name="elsewhere")
    with pytest.raises(SetupError, match=r"not accepted: .*elsewhere"):
        connect(target(url(encrypted, protocol), tls=tls))
    tls = TlsFiles(cacert=files / "ca.crt", server_name="localhost")
    with connect(target(url(encrypted, protocol), tls=tls)) as api:
        assert api.server_ready()


@PROTOCOLS
def test_any_certificate_is_accepted_where_that_is_said(encrypted: Server, protocol: str) -> None:
    with connect(target(url(encrypted, protocol), tls=TlsFiles(insecure=True))) as api:
        assert api.server_ready()


def test_grpc_refuses_an_expired_certificate_even_so(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("old", lasts=-datetime.timedelta(days=1)).write(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair)

    def shake_hands(listener: socket.socket) -> None:
        # The trial, the look at the certificate, and the look at its names, which fails.
        for _ in range(3):
            plain, _ = listener.accept()
            with plain, suppress(ssl.SSLError, OSError):
                context.wrap_socket(plain, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=shake_hands, args=(listener,))
        thread.start()
        asked = target(f"grpcs://127.0.0.1:{listener.getsockname()[1]}", tls=TlsFiles(insecure=True))
        with pytest.raises(SetupError, match=r"gRPC refuses the certificate .* expired") as caught:
            connect(asked, 10)
        thread.join()
    assert "https://" in str(caught.value.hint)


@PROTOCOLS
def test_a_client_shows_its_certificate(mutual: Server, files: Path, protocol: str) -> None:
    tls = TlsFiles(cacert=files / "ca.crt", cert=files / "client.crt", key=files / "client.key")
    with connect(target(url(mutual, protocol), tls=tls)) as api:
        assert api.server_ready()


@PROTOCOLS
def test_a_client_without_one_is_told(mutual: Server, files: Path, protocol: str) -> None:
    found = target(url(mutual, protocol), tls=TlsFiles(cacert=files / "ca.crt"))
    with pytest.raises(RunError, match="cannot reach") as caught, connect(found) as api:
        api.server()
    assert "--cert and --key" in str(caught.value.hint)


def test_the_generator_is_told_the_same(files: Path) -> None:
    tls = TlsFiles(files / "ca.crt", files / "client.crt", files / "client.key", server_name="box")
    message = target("box:1", tls=tls).message(streaming=True)

    assert message.tls.authorities == (files / "ca.crt").read_bytes()
    assert message.tls.key == (files / "client.key").read_bytes()
    assert (message.tls.server_name, message.tls.insecure) == ("box", False)
    assert not target("box:1").message().HasField("tls")
    assert target("grpcs://box:1").message().HasField("tls")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cert": "client.crt"}, "--cert is given without --key"),
        ({"key": "client.key"}, "--key is given without --cert"),
        ({"cacert": "absent"}, "cannot be read: No such file"),
        ({"cacert": "nonsense"}, "found no PEM"),
        ({"cacert": "client.key"}, "expected certificates in PEM"),
        ({"cert": "client.crt", "key": "server.key"}, "are not a certificate and its key"),
        ({"cert": "client.crt", "key": "encrypted.key"}, "are not a certificate and its key"),
        ({"cacert": "ca.crt", "insecure": True}, "--cacert is without effect"),
        ({"server_name": "box", "insecure": True}, "--server-name is without effect"),
    ],
)
def test_files_that_are_wrong(files: Path, options: dict[str, str | bool], said: str) -> None:
    (files / "nonsense").write_text("nonsense")
    (files / "encrypted.key").write_bytes(encrypted_key())
    given = {
        name: files / value if name in ("cacert", "cert", "key") and isinstance(value, str) else value
        for name, value in options.items()
    }
    with pytest.raises(SetupError, match=said):
        target("box", tls=TlsFiles(**given))  # type: ignore[arg-type]


def encrypted_key() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
