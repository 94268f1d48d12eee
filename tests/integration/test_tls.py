"""TLS and mutual TLS over gRPC, HTTP and metrics, through the clients that people use."""

import asyncio
import datetime
import socket
import ssl
import urllib.request
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http.aio as triton_http_aio
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import grpc_service_pb2_grpc as stubs
from support import onnx_models
from support.certificates import Authority, Pair
from support.repository import Repository
from support.server import Serve


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Path:
    """A folder with a server's certificate, its key and the authority's certificate."""
    folder = tmp_path / "tls"
    authority.issue("server").write(folder)
    (folder / "ca.crt").write_bytes(authority.certificate)
    return folder


def secured(files: Path, edge: str = "grpc", *, mutual: bool = False) -> list[str | Path]:
    cert: list[str | Path] = [
        f"--{edge}-server-cert",
        files / "tls.crt",
        f"--{edge}-server-key",
        files / "tls.key",
    ]
    if mutual:
        return [*cert, f"--{edge}-use-ssl-mutual", f"--{edge}-root-cert", files / "ca.crt"]
    return [*cert, f"--{edge}-use-ssl"]


def live(port: int, authority: Authority, client: Pair | None = None) -> bool:
    """Whether the server answers somebody who trusts the authority."""
    key, certificate = (client.key, client.certificate) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.certificate, key, certificate)
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        answer = stubs.GRPCInferenceServiceStub(channel).ServerLive(pb.ServerLiveRequest(), timeout=20)
    return bool(answer.live)


def presented(port: int, authority: Authority) -> bytes:
    """The certificate that a new connection gets."""
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("localhost", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as encrypted,
    ):
        assert encrypted.selected_alpn_protocol() == "h2"
        certificate = encrypted.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


def test_grpc_and_tritonclient(
    serve: Serve, repository: Repository, files: Path, authority: Authority
) -> None:
    repository.onnx("add", onnx_models.add())
    server = serve(*secured(files))
    server.wait_ready()
    assert live(server.port, authority)
    client = triton_grpc.InferenceServerClient(
        f"localhost:{server.port}", ssl=True, root_certificates=str(files / "ca.crt")
    )
    with client:
        assert client.is_model_ready("add")


def test_http_aio_and_metrics(serve: Serve, files: Path, authority: Authority) -> None:
    server = serve(*secured(files, "http"), "--metrics-use-ssl", "--http-port", "0", "--metrics-port", "0")
    server.wait_ready()
    context = ssl.create_default_context(cadata=authority.certificate.decode())

    async def ready() -> bool:
        client = triton_http_aio.InferenceServerClient(
            f"localhost:{server.http_port}", ssl=True, ssl_context=context
        )
        async with client:
            return bool(await client.is_server_ready())

    assert asyncio.run(ready())
    url = f"https://localhost:{server.metrics_port}/metrics"
    with urllib.request.urlopen(url, context=context, timeout=20) as answer:
        assert answer.status == 200


def test_mutual_tls_serves_those_with_a_certificate(serve: Serve, files: Path, authority: Authority) -> None:
    server = serve(*secured(files, mutual=True))
    server.wait_ready()
    assert live(server.port, authority, authority.issue("client"))


@pytest.mark.parametrize("case", ["none", "foreign", "expired"])
def test_mutual_tls_refuses_others_and_says_why(
    serve: Serve, files: Path, authority: Authority, case: str
) -> None:
    server = serve(*secured(files, mutual=True))
    server.wait_ready()
    client, why = {
        "none": (None, "no certificate"),
        "foreign": (Authority("somebody else").issue("client"), "certificate"),
        "expired": (authority.issue("client", lasts=-datetime.timedelta(days=1)), "expired"),
    }[case]
    with pytest.raises(grpc.RpcError) as refused:
        live(server.port, authority, client)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    record = server.wait_for("tls-handshake-failed")
    assert why in record["message"].lower()
    assert record["client.address"].startswith("127.0.0.1")
    # Nobody else suffers from it.
    assert live(server.port, authority, authority.issue("client"))


def test_a_client_that_speaks_no_tls_is_closed(serve: Serve, files: Path, authority: Authority) -> None:
    server = serve(*secured(files))
    server.wait_ready()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        received = plain.recv(1 << 16)
        while received:
            received = plain.recv(1 << 16)
    server.wait_for("tls-handshake-failed")
    assert live(server.port, authority)


@pytest.mark.parametrize("way", ["written", "swapped"])
def test_new_files_are_for_new_connections_and_old_connections_go_on(
    serve: Serve, tmp_path: Path, authority: Authority, way: str
) -> None:
    first, second = authority.issue("first"), authority.issue("second")
    # As Kubernetes mounts a secret: the files are links to a folder that is replaced.
    mounted, data = tmp_path / "mounted", tmp_path / "mounted" / "..data"
    first.write(mounted / "one")
    data.symlink_to("one")
    for name in ("tls.crt", "tls.key"):
        (mounted / name).symlink_to(f"..data/{name}")
    server = serve(*secured(mounted))
    server.wait_ready()
    assert presented(server.port, authority) == der(first)
    credentials = grpc.ssl_channel_credentials(authority.certificate)
    with grpc.secure_channel(f"localhost:{server.port}", credentials) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
        changes: list[grpc.ChannelConnectivity] = []
        channel.subscribe(changes.append)
        if way == "written":
            second.write(mounted / "one")
        else:
            second.write(mounted / "two")
            (mounted / "..new").symlink_to("two")
            (mounted / "..new").replace(data)
        server.wait_for("tls-reloaded")
        assert presented(server.port, authority) == der(second)
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=20).live
        assert set(changes) <= {grpc.ChannelConnectivity.READY}


def test_new_files_that_are_wrong_change_nothing_but_the_log(
    serve: Serve, files: Path, authority: Authority
) -> None:
    server = serve(*secured(files))
    server.wait_ready()
    (files / "tls.crt").write_text("not a certificate")
    record = server.wait_for("tls-reload-failed")
    assert str(files / "tls.crt") in record["message"]
    assert record["log.level"] == "warning"
    assert live(server.port, authority)
    whole = authority.issue("whole")
    whole.write(files)
    server.wait_for("tls-reloaded")
    assert presented(server.port, authority) == der(whole)


def test_wrong_files_are_named_before_anything_is_bound(
    serve: Serve, files: Path, authority: Authority
) -> None:
    day = datetime.timedelta(days=1)
    cases = {
        "holds no certificate in PEM": (files / "tls.crt", b"x"),
        "holds no private key in PEM": (files / "tls.key", b"x"),
        "does not fit the certificate": (files / "tls.key", authority.issue("other").key),
        "expired on": (files / "tls.crt", authority.issue("old", lasts=-day).certificate),
    }
    for said, (path, wrong) in cases.items():
        right = path.read_bytes()
        path.write_bytes(wrong)
        server = serve(*secured(files))
        assert server.wait() == 2
        errors = " ".join(" ".join(server.errors).split())
        assert said in errors, errors
        assert path.name in errors
        assert not any(record.get("event.action") == "server-listening" for record in server.records)
        path.write_bytes(right)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--grpc-use-ssl"], "--grpc-server-cert"),
        (["--http-use-ssl", "--http-server-cert", "a"], "--http-server-key"),
        (["--grpc-use-ssl-mutual", "--grpc-server-cert", "a", "--grpc-server-key", "b"], "--grpc-root-cert"),
        (["--grpc-server-cert", "a"], "--grpc-use-ssl"),
        (["--metrics-use-ssl"], "--http-use-ssl"),
        (["--grpc-use-ssl", "--grpc-server-cert", "nowhere", "--grpc-server-key", "b"], "nowhere"),
    ],
)
def test_options_that_do_not_fit_together(serve: Serve, options: list[str], said: str) -> None:
    server = serve(*options)
    assert server.wait() == 2
    assert said in " ".join(server.errors)
