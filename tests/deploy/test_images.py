"""The container images, built of this machine's Debian packages: sizes, contents, and a real inference."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, ints, outputs, request
from support.containers import ROOT, Images, missing, normal
from support.gate import Gate
from support.process import Process
from support.python_models import GATED
from support.repository import Repository
from support.sidecar import write_config

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(missing() is not None, reason=f"images: {missing()}"),
]

BASE = "localhost/base"
SERVER, SIDECAR = "localhost/server:test", "localhost/sidecar:test"
MAX_BYTES = {SERVER: 450_000_000, SIDECAR: 120_000_000}
USER = "65532:65532"

PROBE = "infermesh-probe"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """Both images, in a storage that ends with the tests."""
    images = Images(tmp_path_factory.mktemp("images"))
    try:
        images.make_base(BASE)
        images.build(BASE, "sidecar", "server")
        yield images
    finally:
        images.remove()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """What a test started, and has to end."""
    started: list[Process] = []
    yield started
    for process in started:
        if process.running:
            process.terminate()
            process.wait()


def settings(folder: Path, port: int) -> Path:
    """A folder with the configuration of a sidecar before a server, where the image expects it."""
    folder.mkdir()
    upstream = {"models": {"endpoints": [f"127.0.0.1:{port}"]}}
    outbound = [{"name": "models", "listen": "127.0.0.1:0", "service": "models"}]
    write_config(folder, services=upstream, outbound=outbound)
    return folder


@pytest.mark.parametrize("image", [SERVER, SIDECAR])
def test_an_image_is_small(images: Images, image: str) -> None:
    assert images.inspect(image)["Size"] < MAX_BYTES[image]


@pytest.mark.parametrize("image", [SERVER, SIDECAR])
def test_an_image_says_how_it_is_run(images: Images, image: str) -> None:
    about = images.inspect(image)
    config = about["Config"]
    assert about["User"] == USER
    assert config["Entrypoint"] == ["infermesh"]
    assert config["WorkingDir"] == "/"
    assert config["StopSignal"] == "SIGTERM"
    assert about["Healthcheck"]["Test"][:2] == ["CMD", PROBE]
    labels = about["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.base.name"] == BASE
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", labels["org.opencontainers.image.version"])


@pytest.mark.parametrize(
    ("image", "absent"), [(SERVER, ("onnx", "torch")), (SIDECAR, ("onnx", "onnxruntime", "numpy"))]
)
def test_an_image_holds_nothing_else(images: Images, image: str, absent: tuple[str, ...]) -> None:
    with images.mounted(image) as root:
        for folder in ("usr/bin", "usr/sbin", "usr/local/bin"):
            commands = {it.name for it in (root / folder).iterdir()}
            assert not commands & {
                "sh",
                "bash",
                "dash",
                "apt",
                "apt-get",
                "dpkg",
                "pip",
                "pip3",
                "cc",
                "gcc",
                "ld",
            }
        (packages,) = root.glob("usr/local/lib/python3*/dist-packages")
        there = {it.name for it in packages.iterdir()}
        assert not there & {"pip", "setuptools", *absent}
        # What is not compiled would be, at every start, with a root that cannot be written to.
        (package,) = packages.glob("infermesh")
        for source in package.rglob("*.py"):
            assert list(source.parent.glob(f"__pycache__/{source.stem}.*.pyc")), source


@pytest.mark.parametrize("image", [SERVER, SIDECAR])
def test_its_bill_of_materials_is_complete(images: Images, image: str) -> None:
    written = ROOT / "out/images" / f"{image.split('/')[1].split(':')[0]}.sbom.cdx.json"
    sbom = json.loads(written.read_text())
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    named = {component["purl"].split("@")[0] for component in sbom["components"]}
    with images.mounted(image) as root:
        assert (root / "usr/share/infermesh/sbom.cdx.json").read_text() == written.read_text()
        python = {
            f"pkg:pypi/{normal(folder.name.split('-')[0])}"
            for folder in root.glob("usr/local/lib/python3*/dist-packages/*.dist-info")
        }
        debian = {f"pkg:deb/debian/{file.name}" for file in root.glob("var/lib/dpkg/status.d/*")}
    assert python
    assert debian
    assert python | debian <= named
    lock = (ROOT / "native/Cargo.lock").read_text()
    crates = dict(re.findall(r'^name = "(.+)"\nversion = "(.+)"$', lock, re.MULTILINE))
    purls = {component["purl"] for component in sbom["components"]}
    assert {f"pkg:cargo/{name}@{crates[name]}" for name in ("h2", "rustls", "tokio")} <= purls


def test_a_sidecar_brings_an_inference_to_a_server_and_both_end_in_order(
    images: Images, processes: list[Process], tmp_path: Path
) -> None:
    repository = Repository.make(tmp_path / "models")
    with Gate(tmp_path / "gate") as gate:
        # Whoever the container runs as.
        for pipe in gate.folder.iterdir():
            pipe.chmod(0o666)
        repository.onnx("scale", onnx_models.scale(3.0))
        repository.python("gated", GATED, config=gate.config)
        server = images.run(
            SERVER,
            "server",
            *("serve", "/models", "--grpc-address", "127.0.0.1", "--grpc-port", "0"),
            *(
                "--http-address",
                "127.0.0.1",
                "--http-port",
                "0",
                "--metrics-port",
                "0",
                "--log-format",
                "json",
            ),
            mounts=[(repository.root, "/models:ro"), (gate.folder, str(gate.folder))],
        )
        processes.append(server)
        port = server.wait_for("server-listening", with_field="server.port")["server.port"]
        rest = server.wait_for("server-listening", lambda it: it["url.path"] == "/v2", with_field="url.path")
        server.wait_for("server-ready")
        images.execute("server", PROBE, f"http://127.0.0.1:{rest['server.port']}/v2/health/live")
        with pytest.raises(AssertionError):
            images.execute("server", PROBE, f"http://127.0.0.1:{rest['server.port']}/v2/health/elsewhere")

        sidecar = images.run(
            SIDECAR, "sidecar", mounts=[(settings(tmp_path / "etc", port), "/etc/infermesh:ro")]
        )
        processes.append(sidecar)
        listening = sidecar.wait_for("sidecar-listening", lambda it: " models on " in it["message"])
        sidecar.wait_for("sidecar-ready")

        with Client(f"127.0.0.1:{listening['server.port']}") as client:
            x = floats(2, 4)
            answer = client.infer(request("scale", x=x))
            assert (outputs(answer)["y"] == 3 * x).all()

            held = client.start(request("gated", x=ints([1])))
            gate.next_batch()
            for process in (sidecar, server):
                process.terminate()
            sidecar.wait_for("sidecar-draining")
            server.wait_for("server-draining")
            gate.open()
            response: pb.ModelInferResponse = held.result(timeout=SECONDS)
            assert outputs(response)["y"].tolist() == [[1]]
        assert sidecar.wait() == 0, sidecar.errors
        assert server.wait() == 0, server.errors
