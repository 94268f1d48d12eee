"""Issued identities between a real server and real clients: who is admitted, and what the others are told."""

import datetime
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from infermesh.identity import pem, store
from infermesh.identity.authority import Authority
from infermesh.identity.layout import read_identity
from infermesh.identity.request import Request
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import grpc_service_pb2_grpc as stubs
from support.server import Serve, Server

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "identity.md"

#: By which grpcio reaches a server, and is to be told if it is not that of the address.
OVERRIDE = "grpc.ssl_target_name_override"

Options = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Mesh:
    """A trust domain on this machine."""

    folder: Path
    authority: Authority

    def issue(
        self,
        name: str,
        *,
        dns: Sequence[str] = (),
        place: str = "",
        by: Authority | None = None,
        ago: datetime.timedelta = datetime.timedelta(0),
    ) -> Path:
        """An identity; returns its folder. ``by`` another authority, or issued some time ago."""
        authority = by or self.authority
        now = datetime.datetime.now(datetime.UTC) - ago
        folder = self.folder / (place or name)
        store.save_identity(
            folder, authority.issue(Request.of(authority.trust_domain, name, dns), now), authority
        )
        return folder


@pytest.fixture
def mesh(tmp_path: Path) -> Mesh:
    # Older than what it has issued, some of which is over.
    return Mesh(tmp_path / "mesh", authority(ago=datetime.timedelta(days=9)))


def authority(name: str = "local.infermesh", ago: datetime.timedelta = datetime.timedelta(0)) -> Authority:
    return Authority.create(name, datetime.datetime.now(datetime.UTC) - ago)


def secured(files: Path) -> list[str | Path]:
    return [
        "--grpc-use-ssl-mutual",
        *("--grpc-server-cert", files / "tls.crt"),
        *("--grpc-server-key", files / "tls.key"),
        *("--grpc-root-cert", files / "ca.crt"),
    ]


def credentials(
    files: Path, *, trusts: Path | None = None, key: Path | None = None
) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        ((trusts or files) / "ca.crt").read_bytes(),
        ((key or files) / "tls.key").read_bytes(),
        (files / "tls.crt").read_bytes(),
    )


def live(
    port: int, given: grpc.ChannelCredentials | None, options: Options = (), host: str = "localhost"
) -> bool:
    target = f"{host}:{port}"
    channel = (
        grpc.insecure_channel(target)
        if given is None
        else grpc.secure_channel(target, given, options=options)
    )
    with channel:
        answer = stubs.GRPCInferenceServiceStub(channel).ServerLive(pb.ServerLiveRequest(), timeout=20)
    return bool(answer.live)


def refusal(
    port: int, given: grpc.ChannelCredentials | None, options: Options = (), host: str = "localhost"
) -> str:
    """What a client is told that does not get through."""
    with pytest.raises(grpc.RpcError) as refused:
        live(port, given, options, host)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    return str(refused.value.details())


def test_who_has_an_identity_of_the_trust_domain_is_served(serve: Serve, mesh: Mesh) -> None:
    server = serve(*secured(mesh.issue("fraud", dns=["localhost"])))
    server.wait_ready()

    assert live(server.port, credentials(mesh.issue("shop")))
    assert live(server.port, credentials(mesh.issue("shop")), [(OVERRIDE, "localhost")], host="127.0.0.1")


#: Given a mesh and a server of it: what the client has.
Fault = Callable[[Mesh, Path], tuple[grpc.ChannelCredentials | None, Options]]

FAULTS: dict[str, tuple[Fault, str, str | None]] = {
    "no identity": (
        lambda _, server: (grpc.ssl_channel_credentials((server / "ca.crt").read_bytes()), ()),
        "Socket closed",
        "it presents no certificate",
    ),
    "another trust domain": (
        lambda mesh, server: (
            credentials(mesh.issue("shop", by=authority("other.example")), trusts=server),
            (),
        ),
        "Socket closed",
        "which is not trusted",
    ),
    "an authority that was made anew": (
        lambda mesh, server: (credentials(mesh.issue("shop", by=authority()), trusts=server), ()),
        "Socket closed",
        "is not that of the one that is trusted",
    ),
    "over": (
        lambda mesh, _: (credentials(mesh.issue("shop", ago=datetime.timedelta(days=2))), ()),
        "Socket closed",
        "expired on",
    ),
    "does not trust the server": (
        lambda mesh, _: (
            credentials(mesh.issue("shop"), trusts=mesh.issue("x", by=authority("other.example"))),
            (),
        ),
        "unable to get local issuer certificate",
        "closed the connection during the handshake",
    ),
    "an id for a host name": (
        lambda mesh, _: (
            credentials(mesh.issue("shop")),
            [(OVERRIDE, "spiffe://local.infermesh/fraud")],
        ),
        "Handshake read failed",
        "ServerNameMustContainOneHostName",
    ),
    "a host name that is not its": (
        lambda mesh, _: (credentials(mesh.issue("shop")), [(OVERRIDE, "fraud.example")]),
        "Hostname Verification Check failed",
        None,
    ),
    "the key of another": (
        lambda mesh, server: (credentials(mesh.issue("shop"), key=server), ()),
        "Failed to create security handshaker",
        None,
    ),
    "no TLS": (
        lambda *_: (None, ()),
        "Socket closed",
        "speaks HTTP without TLS",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_others_are_refused_and_the_guide_has_the_words(serve: Serve, mesh: Mesh, fault: str) -> None:
    files = mesh.issue("fraud", dns=["localhost"])
    server = serve(*secured(files))
    server.wait_ready()
    make, at_the_client, in_the_log = FAULTS[fault]

    refused = refusal(server.port, *make(mesh, files))
    # The end of a connection may overtake what was said last.
    assert at_the_client in refused.replace("Connection reset by peer", "Socket closed")

    said = "nothing"
    if in_the_log is not None:
        assert in_the_log in server.wait_for("tls-handshake-failed")["message"]
        said = f"`{in_the_log}`"
    assert f"| `{at_the_client}` | {said} |" in GUIDE.read_text()
    # Nobody else suffers from it.
    assert live(server.port, credentials(mesh.issue("other")))


def test_a_server_whose_certificate_is_over(mesh: Mesh) -> None:
    """infermesh does not start with one: a server that was never given a new one is in this place."""
    files = mesh.issue("fraud", dns=["localhost"], ago=datetime.timedelta(days=2))
    server = grpc.server(futures.ThreadPoolExecutor(1))
    pair = ((files / "tls.key").read_bytes(), (files / "tls.crt").read_bytes())
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        said = refusal(port, credentials(mesh.issue("shop")))
    finally:
        server.stop(0).wait(20)

    assert "certificate has expired" in said
    assert "| `certificate has expired` |" in GUIDE.read_text()


def test_a_server_without_tls(serve: Serve, mesh: Mesh) -> None:
    server = serve()
    server.wait_ready()

    assert "WRONG_VERSION_NUMBER" in refusal(server.port, credentials(mesh.issue("shop")))
    assert "| `WRONG_VERSION_NUMBER` | nothing |" in GUIDE.read_text()


def test_a_renewal_is_taken_without_a_restart(serve: Serve, mesh: Mesh) -> None:
    files = mesh.issue("fraud", dns=["localhost"])
    server = serve(*secured(files))
    server.wait_ready()
    shop = credentials(mesh.issue("shop"))
    with grpc.secure_channel(f"localhost:{server.port}", shop) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
        changes: list[grpc.ChannelConnectivity] = []
        channel.subscribe(changes.append)

        mesh.issue("fraud", dns=["localhost"])
        server.wait_for("tls-reloaded")

        assert presented(server, mesh) == pem.certificates(read_identity(files).certificate)[0].serial_number
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
        assert set(changes) <= {grpc.ChannelConnectivity.READY}


def presented(server: Server, mesh: Mesh) -> int:
    """The serial number of the certificate that a new connection gets."""
    files = mesh.issue("looks")
    context = ssl.create_default_context(cafile=files / "ca.crt")
    context.load_cert_chain(files / "tls.crt", files / "tls.key")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("localhost", server.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as encrypted,
    ):
        found = encrypted.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found).serial_number
