"""A repository on S3-compatible storage, with a real S3 server."""

import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, outputs, refused, request
from support.s3 import CREDENTIALS, NOBODY, READER, S3, STRANGER
from support.server import LOOPBACK, Server, serving

POLL = ("--model-control-mode", "poll", "--repository-poll-secs", "0.1")


@pytest.fixture
def s3(storage: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An empty bucket; credentials and a folder for temporary files are in the environment."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    s3 = S3(storage)
    yield s3
    s3.client.close()


def factor(server: Server, model: str = "scale", version: str = "") -> float:
    with Client(server.target) as client:
        response = client.infer(request(model, version=version, x=floats(1, 4, start=1)))
        return float(outputs(response)["y"][0, 0])


def copies(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "temporary").glob("infermesh-model-*"))


def ended(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and messages of a server that does not get to serve."""
    server = Server(*arguments, *LOOPBACK)
    code = server.wait()
    assert not any("Traceback" in line for line in server.errors)
    return code, "\n".join(server.errors)


def test_models_are_served_and_the_copy_goes_with_the_server(s3: S3, tmp_path: Path) -> None:
    s3.onnx("scale", onnx_models.scale(2.0), config="max_batch_size: 8\n")
    s3.onnx("other", onnx_models.scale(3.0))
    s3.put("README.md", b"no model")
    with serving(s3.location, *LOOPBACK) as server:
        assert (factor(server), factor(server, "other")) == (2.0, 3.0)
        assert len(copies(tmp_path)) == 1
        assert server.wait_for("repository-copied")["infermesh.repository"] == s3.location
    assert copies(tmp_path) == []


def test_the_protocol_may_be_said_and_repositories_may_be_many(s3: S3, tmp_path: Path) -> None:
    s3.onnx("scale", onnx_models.scale(2.0))
    local = tmp_path / "local" / "mine" / "1"
    local.mkdir(parents=True)
    (local / "model.onnx").write_bytes(onnx_models.scale(4.0))
    location = s3.location.replace("s3://", "s3://http://") + "//"
    with serving("--model-repository", location, "--model-repository", local.parents[1], *LOOPBACK) as server:
        assert (factor(server), factor(server, "mine")) == (2.0, 4.0)


def test_only_versions_that_are_served_are_copied(s3: S3, tmp_path: Path) -> None:
    s3.put("scale/1/model.onnx", b"broken, and never looked at")
    s3.onnx("scale", onnx_models.scale(2.0), version=2)
    s3.onnx("scale", onnx_models.scale(3.0), version=3)
    s3.put("scale/config.pbtxt", b"version_policy { latest { num_versions: 2 } }")
    s3.put("scale/labels.txt", b"a label")
    with serving(s3.location, *LOOPBACK) as server:
        assert (factor(server, version="2"), factor(server, version="3")) == (2.0, 3.0)
        (copy,) = copies(tmp_path)
        assert sorted(path.name for path in (copy / "scale").iterdir()) == [
            "2",
            "3",
            "config.pbtxt",
            "labels.txt",
        ]


def test_objects_that_can_be_no_files_are_left_out(s3: S3, tmp_path: Path) -> None:
    s3.onnx("scale", onnx_models.scale(2.0))
    for path in (
        "scale/../../escaped",
        "scale//1/x",
        "scale/1/",
        "../outside/1/model.onnx",
        ".hidden/1/m",
        "scale/./x",
    ):
        s3.put(path, b"")
    with serving(s3.location, *LOOPBACK) as server:
        assert factor(server) == 2.0
        with Client(server.target) as client:
            assert set(client.index()) == {("scale", "1")}
    assert not list(tmp_path.rglob("escaped"))


def test_poll_mode_sees_what_changes(s3: S3) -> None:
    s3.onnx("scale", onnx_models.scale(2.0))
    s3.onnx("still", onnx_models.scale(9.0))
    with serving(s3.location, *LOOPBACK, *POLL) as server:
        s3.onnx("scale", onnx_models.scale(5.0), version=2)
        server.wait_for("model-unloaded", lambda record: record["infermesh.model.version"] == 1)
        assert factor(server) == 5.0
        s3.put("scale/config.pbtxt", b"max_batch_size: 3\n")
        server.wait_for("model-loaded", lambda record: record["infermesh.model.max_batch_size"] == 3)
        s3.onnx("scale", onnx_models.scale(6.0), version=2)
        loads = [record for record in server.records if record.get("event.action") == "model-loaded"]
        server.wait_for("model-loaded", lambda record: record not in loads)
        assert factor(server) == 6.0
        s3.remove("scale")
        server.wait_for(
            "model-unloaded",
            lambda record: (
                (record["infermesh.model.name"], record["infermesh.model.version"]) == ("scale", 2)
            ),
        )
        loaded = [
            record["infermesh.model.name"]
            for record in server.records
            if record.get("event.action") == "model-loaded"
        ]
        assert loaded.count("still") == 1, "a model was loaded again that did not change"


def test_explicit_mode_copies_what_is_asked_for(s3: S3, tmp_path: Path) -> None:
    s3.onnx("scale", onnx_models.scale(2.0))
    s3.onnx("other", onnx_models.scale(3.0))
    with (
        serving(s3.location, *LOOPBACK, "--model-control-mode", "explicit") as server,
        triton.InferenceServerClient(server.target) as control,
    ):
        control.load_model("scale", client_timeout=SECONDS)
        assert factor(server) == 2.0
        (copy,) = copies(tmp_path)
        assert [path.name for path in copy.iterdir() if not path.name.startswith(".")] == ["scale"]
        s3.onnx("scale", onnx_models.scale(4.0))
        s3.onnx("scale", onnx_models.scale(5.0), version=2)
        control.load_model("scale", client_timeout=SECONDS)
        assert factor(server) == 5.0
        config = '{"version_policy": {"specific": {"versions": [1]}}}'
        control.load_model("scale", config=config, client_timeout=SECONDS)
        assert factor(server) == 4.0
        with Client(server.target) as client, refused(grpc.StatusCode.NOT_FOUND, "failed to load 'absent'"):
            client.inference.RepositoryModelLoad(
                pb.RepositoryModelLoadRequest(model_name="absent"), timeout=SECONDS
            )


def test_a_cache_is_kept_between_two_runs(s3: S3, tmp_path: Path) -> None:
    s3.onnx("scale", onnx_models.scale(2.0))
    cache = ("--repository-cache", tmp_path / "cache")
    with serving(s3.location, *LOOPBACK, *cache) as server:
        assert factor(server) == 2.0
        code, errors = ended(s3.location, *cache)
        assert code == 2
        assert "is used by another server" in errors
    s3.onnx("second", onnx_models.scale(3.0))
    with serving(s3.location, *LOOPBACK, *cache) as server:
        assert (factor(server), factor(server, "second")) == (2.0, 3.0)
        copied = server.wait_for("repository-copied")["message"]
        assert f"of {len(onnx_models.scale(3.0)) / 1e6:.1f} MB" in copied


def test_a_bucket_that_disappears_takes_no_model_with_it(s3: S3) -> None:
    s3.onnx("scale", onnx_models.scale(2.0))
    with serving(s3.location, *LOOPBACK, *POLL) as server:
        s3.drop_bucket()
        record = server.wait_for("repository-unreadable", lambda it: "there is no bucket" in it["message"])
        assert "what is loaded stays in service" in record["message"]
        assert factor(server) == 2.0


def test_no_bucket_is_a_mistake_in_the_command(s3: S3) -> None:
    s3.drop_bucket()
    code, errors = ended(s3.location)
    assert code == 2
    assert f"the model repository {s3.location} does not exist: there is no bucket {s3.bucket}" in errors


def test_an_empty_location_is_an_empty_repository(s3: S3) -> None:
    with serving(f"{s3.location}/elsewhere", *LOOPBACK) as server:
        assert "nothing to serve" in server.wait_for("repository-empty")["message"]


def test_no_credentials_are_told(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    code, errors = ended(s3.location)
    assert code == 2
    assert "needs credentials, and none were found" in errors
    assert "AWS_ACCESS_KEY_ID" in errors


@pytest.mark.parametrize(
    ("user", "message"),
    [(NOBODY, "may not be read with these credentials"), (STRANGER, "refuses the credentials")],
)
def test_credentials_that_are_not_enough_are_told(
    s3: S3, monkeypatch: pytest.MonkeyPatch, user: str, message: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", user)
    code, errors = ended(s3.location)
    assert code == 2
    assert f"the model repository {s3.location} {message}: as the test wants it" in errors


def test_an_object_that_may_not_be_read_is_its_model_s_problem(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.onnx("scale", onnx_models.scale(2.0))
    s3.onnx("guarded", onnx_models.scale(3.0))
    s3.put("guarded/1/secret", b"no")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER)
    server = Server(s3.location, *LOOPBACK)
    try:
        record = server.wait_for("model-load-failed")
        assert "guarded/1/secret (as the test wants it) cannot be copied" in record["error.message"]
        server.wait_for("server-not-ready")
        assert factor(server) == 2.0
        assert server.stop() == 0
    finally:
        if server.running:
            server.kill()


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        location = f"s3://127.0.0.1:{unused.getsockname()[1]}/models"
        code, errors = ended(location)
    assert code == 2
    assert f"the model repository {location} cannot be reached" in errors


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3://", "is no location on S3-compatible storage"),
        ("s3://UPPER/x", "is no location on S3-compatible storage"),
        ("s3://host:port/bucket", "is no location on S3-compatible storage"),
        ("gs://bucket/x", "on storage of the kind gs, expected a directory or s3://"),
    ],
)
def test_a_location_that_makes_no_sense_is_told(location: str, message: str) -> None:
    code, errors = ended(location)
    assert code == 2
    assert message in errors
