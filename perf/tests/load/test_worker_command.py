"""`infermesh perf worker` as people start it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import typer
from infermesh import cli
from infermesh_perf.command.worker import worker
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.load.remote_engine import RemoteEngine
from infermesh_perf.load.worker_tls import WorkerTls
from support.certificates import Authority
from support.load_workers import WorkerProcess, closed_plan, null_server, worker_processes


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, what it signed for a worker and a coordinator, and what another one signed."""
    folder = tmp_path_factory.mktemp("tls")
    authority, other = Authority(), Authority("somebody else")
    authority.issue("worker").write(folder, "worker")
    authority.issue("coordinator").write(folder, "coordinator")
    other.issue("stranger").write(folder, "stranger")
    (folder / "ca.crt").write_bytes(authority.certificate)
    return folder


def tls(files: Path, name: str) -> WorkerTls:
    found = WorkerTls.read(files / "ca.crt", files / f"{name}.crt", files / f"{name}.key")
    assert found is not None
    return found


def end(worker: WorkerProcess, number: signal.Signals) -> tuple[int, str]:
    worker.process.send_signal(number)
    _, errors = worker.process.communicate(timeout=30)
    return worker.process.returncode, errors


def test_with_mutual_tls(files: Path) -> None:
    options: list[str | Path] = [
        "--cacert",
        files / "ca.crt",
        "--cert",
        files / "worker.crt",
        "--key",
        files / "worker.key",
    ]
    with null_server() as null, worker_processes(1, *options) as (alone,):
        known = RemoteEngine(closed_plan(null), [alone.address], tls(files, "coordinator"))
        assert known.connect() == 1
        known.close()
        for credentials in (tls(files, "stranger"), None):
            unknown = RemoteEngine(closed_plan(null), [alone.address], credentials)
            with pytest.raises(RunError, match="cannot reach worker"):
                unknown.connect()
            unknown.close()
        # gRPC itself writes about the strangers.
        assert end(alone, signal.SIGTERM)[0] == 0


def test_ctrl_c_in_the_middle_of_a_run() -> None:
    with null_server() as null, worker_processes(1) as (alone,):
        engine = RemoteEngine(closed_plan(null), [alone.address], slice_seconds=0.05)
        engine.connect()
        engine.start()
        engine.take()
        assert end(alone, signal.SIGINT) == (0, "")
        with pytest.raises(RunError, match=rf"worker {alone.address}: the worker was told to end"):
            engine.stop(1)
        engine.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "0.0.0.0:0"), "could send requests from this machine to anywhere"),
        (("--listen", "nonsense:x"), "--listen: found 'nonsense:x', expected HOST:PORT"),
        (("--listen", "127.0.0.1:0", "--insecure-listen"), "--insecure-listen is without effect"),
        (("--cert", "worker.crt"), "--cacert and --key is missing"),
        (
            ("--cacert", "ca.crt", "--cert", "worker.crt", "--key", "stranger.key"),
            "not a certificate and its key",
        ),
        (
            ("--cacert", "ca.crt", "--cert", "absent.crt", "--key", "worker.key"),
            "--cert absent.crt: cannot be read",
        ),
        (("--listen", "192.0.2.1:0", "--insecure-listen"), "--listen 192.0.2.1:0: cannot be bound"),
    ],
)
def test_wrong_usage(
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    app = typer.Typer(add_completion=False)
    app.command()(worker)
    monkeypatch.setattr(cli, "app", app)
    monkeypatch.chdir(files)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as exited:
            cli.main(arguments)
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert exited.value.code == 2
    assert said in capsys.readouterr().err


def test_the_options_of_the_coordinator_are_named(files: Path) -> None:
    assert WorkerTls.read(None, None, None) is None
    with pytest.raises(SetupError, match="--worker-cert absent: cannot be read"):
        WorkerTls.read(files / "ca.crt", Path("absent"), files / "worker.key", prefix="--worker-")
    with pytest.raises(SetupError, match="--worker-cert and --worker-key is missing"):
        WorkerTls.read(files / "ca.crt", None, None, prefix="--worker-")
