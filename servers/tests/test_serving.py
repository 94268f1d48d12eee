"""The server process around a data plane that only takes notes: loading, polling, readiness, exit codes."""

import json
import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from infermesh.errors import InfermeshError
from infermesh.logs import LogFormat
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh_servers.model.control import RepositoryControl
from infermesh_servers.model.loader import Loader, State
from infermesh_servers.model.manager import Manager
from infermesh_servers.model.options import ModelControlMode, ServeOptions
from infermesh_servers.model.poller import Poller
from infermesh_servers.model.repositories import LocalRepository

PYTHON_MODEL = """
class Model:
    inputs = {"x": ("FP32", [1])}
    outputs = {"y": ("FP32", [1])}
    max_batch_size = 4

    def infer(self, batch):
        return {"y": batch["x"]}
"""


class NotingServer:
    """Stands in for the data plane: remembers what it was told; an ONNX file that says so is broken."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.served: dict[tuple[str, int], ModelConfig] = {}
        self.unavailable: dict[tuple[str, int], str] = {}
        self.labels: dict[str, dict[str, int]] = {}
        self.spans_ended = threading.Event()
        self.log_ended = threading.Event()
        self.ready: list[bool] = []
        self.drained: list[float] = []
        self.drains_in_time = True
        self.log_ended = threading.Event()

    def listen_tcp(self, host: str, port: int, _tls: object = None) -> tuple[str, int]:
        if port == 1:
            raise OSError(98, "Address already in use")
        return host, port or 50_000

    def listen_http(self, host: str, port: int, _tls: object = None) -> tuple[str, int]:
        if port == 1:
            raise OSError(98, "Address already in use")
        self.settings["http"] = (host, port)
        return host, port or 50_001

    def listen_metrics(self, host: str, port: int, _tls: object = None) -> tuple[str, int]:
        if port == 1:
            raise OSError(98, "Address already in use")
        self.settings["metrics"] = (host, port)
        return host, port or 50_002

    def listen_unix(self, path: str) -> None:
        self.settings["socket"] = path

    def load_onnx(
        self,
        version: int,
        path: str,
        config: bytes,
        library: str,
        directory: str,
        classes: Mapping[str, Sequence[str]],
    ) -> bytes:
        assert Path(path).is_relative_to(directory)
        assert classes == {}
        if Path(path).read_text() == "broken":
            raise ValueError(f"{path}: found no ONNX model")
        assert library == "libonnxruntime.so"
        return self._serve(version, config)

    def load_python(
        self,
        version: int,
        config: bytes,
        instances: Sequence[Callable[..., Any]],
        directory: str,
        classes: Mapping[str, Sequence[str]],
    ) -> bytes:
        assert classes == {}
        assert len(instances) == 1
        assert Path(directory).name == ModelConfig.FromString(config).name
        return self._serve(version, config)

    def load_ensemble(self, version: int, config: bytes, classes: Mapping[str, Sequence[str]]) -> None:
        assert classes == {}
        self._serve(version, config)

    def _serve(self, version: int, config: bytes) -> bytes:
        message = ModelConfig.FromString(config)
        self.served[message.name, version] = message
        self.unavailable.pop((message.name, version), None)
        return config

    def unload(self, name: str, version: int) -> bool:
        listed = (name, version) in self.served or (name, version) in self.unavailable
        self.served.pop((name, version), None)
        self.unavailable.pop((name, version), None)
        return listed

    def set_labels(self, name: str, labels: dict[str, int]) -> bool:
        self.labels[name] = labels
        return True

    def set_load_duration(self, name: str, version: int, seconds: float) -> None:
        assert (name, version) in self.served
        assert seconds > 0

    def set_unavailable(self, name: str, version: int, reason: str) -> None:
        self.unavailable[name, version] = reason

    def allow_control(self, load: Callable[..., None], unload: Callable[..., None]) -> None:
        self.settings["control"] = (load, unload)

    def watch_models(self, failed: Callable[[str, int, str], None]) -> None:
        self.settings["failed"] = failed

    def start_traces(self, **settings: Any) -> None:
        self.settings["traces"] = settings

    def take_spans(self, timeout: float) -> None:
        self.spans_ended.wait(timeout)

    def flush_spans(self) -> None:
        self.spans_ended.set()

    def lose_spans(self, count: int) -> None:
        raise AssertionError(f"{count} spans were lost, and there are none")

    def allow_log_settings(self, change: Callable[..., dict[str, Any]]) -> None:
        self.settings["log"] = change

    def set_access_log(self, wanted: bool) -> None:
        self.settings["access_log"] = wanted

    def take_log(self, timeout: float) -> list[Any]:
        self.log_ended.wait(timeout)
        return []

    def flush_log(self) -> None:
        self.log_ended.set()

    def set_ready(self, ready: bool) -> None:
        self.ready.append(ready)

    def drain(self, timeout: float) -> bool:
        self.drained.append(timeout)
        return self.drains_in_time


def write(root: Path, path: str, text: str = "") -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    write(root, "digits/1/model.onnx")
    write(root, "words/1/model.py", PYTHON_MODEL)
    return root


@pytest.fixture
def server() -> NotingServer:
    return NotingServer()


@pytest.fixture
def manager(repository: Path, server: NotingServer) -> Manager:
    return Manager(LocalRepository(repository), Loader(server, lambda: Path("libonnxruntime.so")))


def test_every_model_is_loaded_with_its_name_and_backend(manager: Manager, server: NotingServer) -> None:
    outcomes = manager.refresh()
    assert [(outcome.name, outcome.version, outcome.backend) for outcome in outcomes] == [
        ("digits", 1, "onnxruntime"),
        ("words", 1, "python"),
    ]
    assert server.served["digits", 1].name == "digits"
    assert server.served["words", 1].max_batch_size == 4
    assert outcomes[1].max_batch_size == 4
    assert manager.all_ready()


def test_broken_models_never_stop_the_rest(repository: Path, manager: Manager, server: NotingServer) -> None:
    write(repository, "a/1/model.onnx", "broken")
    write(repository, "b/1/model.py", "\n\nimport nothing_of_that_name\n")
    write(repository, "c/1/model.py", "import sys; sys.exit('no')")
    write(repository, "d/1/model.onnx")
    write(repository, "d/config.pbtxt", "backend: 'other'")
    write(repository, "e/1/model.py", "def broken(:")
    write(repository, "f/1/net.onnx")
    write(repository, "f/config.pbtxt", "backend: 'onnxruntime'")
    manager.refresh()
    assert set(server.served) == {("digits", 1), ("words", 1)}
    assert server.unavailable["a", 1].endswith("model.onnx: found no ONNX model")
    assert "b/1/model.py:3: ModuleNotFoundError: No module named" in server.unavailable["b", 1]
    assert "c/1/model.py:1: SystemExit: no" in server.unavailable["c", 1]
    assert 'config.pbtxt:1: backend: found "other"' in server.unavailable["d", 0]
    assert "e/1/model.py:1: SyntaxError" in server.unavailable["e", 1]
    assert server.unavailable["f", 1].endswith("f/1/model.onnx: found no such file")
    assert not manager.all_ready()


def test_a_model_of_triton_s_python_backend_is_told_what_to_do(
    repository: Path, manager: Manager, server: NotingServer
) -> None:
    write(repository, "a/1/model.py", "import triton_python_backend_utils as pb_utils")
    manager.refresh()
    assert "a Python model is a class Model here" in server.unavailable["a", 1]


def test_a_version_that_cannot_replace_another_leaves_it_in_service(
    repository: Path, manager: Manager, server: NotingServer
) -> None:
    manager.refresh()
    write(repository, "digits/2/model.onnx", "broken")
    manager.refresh()
    manager.refresh()
    assert ("digits", 1) in server.served
    assert ("digits", 2) in server.unavailable
    assert manager.all_ready()
    write(repository, "digits/2/model.onnx", "mended")
    manager.refresh()
    assert {version for name, version in server.served if name == "digits"} == {2}


def test_a_refresh_follows_the_repository(repository: Path, manager: Manager, server: NotingServer) -> None:
    manager.refresh()
    write(repository, "digits/2/model.onnx")
    (repository / "words" / "1" / "model.py").unlink()
    (repository / "words" / "1").rmdir()
    (repository / "words").rmdir()
    manager.refresh()
    assert set(server.served) == {("digits", 2)}
    assert manager.refresh() == []


def test_a_broken_replacement_leaves_the_old_in_service(
    repository: Path, manager: Manager, server: NotingServer
) -> None:
    manager.refresh()
    write(repository, "digits/1/model.onnx", "broken")
    write(repository, "words/config.pbtxt", "max_batch_size: many")
    outcomes = manager.refresh()
    assert [outcome.state for outcome in outcomes] == [State.UNAVAILABLE, State.UNAVAILABLE]
    assert set(server.served) == {("digits", 1), ("words", 1)}
    assert server.unavailable == {}
    assert manager.all_ready()


def test_a_mended_model_takes_its_complaint_off_the_list(
    repository: Path, manager: Manager, server: NotingServer
) -> None:
    write(repository, "digits/config.pbtxt", "max_batch_size: many")
    manager.refresh()
    assert ("digits", 0) in server.unavailable
    write(repository, "digits/config.pbtxt", "max_batch_size: 8")
    manager.refresh()
    assert server.served["digits", 1].max_batch_size == 8
    assert server.unavailable == {}
    assert manager.all_ready()


def test_one_model_is_loaded_and_unloaded_by_name(manager: Manager, server: NotingServer) -> None:
    manager.load("digits")
    assert set(server.served) == {("digits", 1)}
    assert manager.unload("digits")
    assert server.served == {}
    assert not manager.unload("digits")


def test_a_client_s_load_and_unload_answer_with_what_came_of_it(
    repository: Path, manager: Manager, server: NotingServer
) -> None:
    changes: list[int] = []
    control = RepositoryControl(manager, lambda: changes.append(len(server.served)))
    control.load("digits", {})
    control.unload("digits", False)
    assert changes == [1, 0]
    write(repository, "a/1/model.onnx", "broken")
    with pytest.raises(RuntimeError, match=r"failed to load 'a': .*found no ONNX model"):
        control.load("a", {})
    with pytest.raises(KeyError, match="found no such model"):
        control.load("../repository", {})
    with pytest.raises(ValueError, match="unrecognized load parameter 'colour'"):
        control.load("digits", {"colour": "blue"})
    with pytest.raises(KeyError, match="it is not loaded"):
        control.unload("absent", True)
    assert list(server.unavailable) == [("a", 1)]
    assert manager.all_ready(), "a client's broken model takes the server out of service"


@pytest.mark.parametrize("name", ["absent", "..", "../repository", ""])
def test_a_name_outside_the_repository_is_an_unavailable_model(
    manager: Manager, server: NotingServer, name: str
) -> None:
    (outcome,) = manager.load(name)
    assert outcome.state is State.UNAVAILABLE
    assert "found no model" in server.unavailable[name, 0]


def test_a_repository_that_is_away_keeps_its_models(
    repository: Path, manager: Manager, server: NotingServer, caplog: pytest.LogCaptureFixture
) -> None:
    manager.refresh()
    repository.rename(repository.with_name("away"))
    poller = Poller(manager, 0.0, lambda: None)
    told = _wait_for_log(caplog, "repository-unreadable", poller)
    assert "stays in service" in told
    assert len(server.served) == 2


def _wait_for_log(caplog: pytest.LogCaptureFixture, action: str, poller: Poller) -> str:
    found: queue.SimpleQueue[str] = queue.SimpleQueue()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "ecs", {}).get("event.action") == action:
                found.put(record.getMessage())

    watch = Watch()
    logging.getLogger().addHandler(watch)
    try:
        with caplog.at_level(logging.INFO):
            poller.start()
            return found.get(timeout=10)
    finally:
        poller.stop()
        logging.getLogger().removeHandler(watch)


@pytest.fixture
def serve(
    repository: Path, server: NotingServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Run the whole process in this one; it is told to end as soon as it waits."""
    import infermesh_native
    from infermesh.shutdown import Shutdown
    from infermesh_servers.model import process

    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.raiseExceptions)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def create(**settings: Any) -> NotingServer:
        server.settings.update(settings)
        return server

    monkeypatch.setattr(infermesh_native, "Server", create)
    monkeypatch.setattr(process, "find_library", lambda: Path("libonnxruntime.so"))
    wait = Shutdown.wait

    def wait_after_signal(self: Shutdown) -> str:
        if not self.requested:
            os.kill(os.getpid(), signal.SIGTERM)
        return wait(self)

    monkeypatch.setattr(Shutdown, "wait", wait_after_signal)

    def run(**options: Any) -> None:
        options.setdefault("log_format", LogFormat.JSON)
        process.run(ServeOptions(**{"repository": (str(repository),), **options}))

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    logging.raiseExceptions = before[2]


Serve = Callable[..., None]


def events(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["event.action"]: line for line in lines}


def test_the_process_loads_gets_ready_and_drains(
    serve: Serve, server: NotingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(grpc_port=0, http_port=0, metrics_port=0, exit_timeout_secs=3.0)
    told = events(capsys)
    assert told["server-ready"]["message"] == "Ready on grpc://127.0.0.1:50000, http://127.0.0.1:50001"
    assert list(told)[-2:] == ["server-draining", "server-stopped"]
    assert told["model-loaded"]["infermesh.model.name"] == "words"
    assert server.ready == [True, False]
    assert server.drained == [3.0]


def test_each_listener_says_where_it_is(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(grpc_port=0, http_port=0, http_address="127.0.0.1", metrics_port=0)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    fields = ("server.address", "server.port", "network.protocol", "url.path")
    assert [
        tuple(line.get(field) for field in fields)
        for line in lines
        if line["event.action"] == "server-listening"
    ] == [
        ("0.0.0.0", 50_000, None, None),
        ("127.0.0.1", 50_001, "http", "/v2"),
        ("127.0.0.1", 50_002, "http", "/metrics"),
    ]


def test_the_ports_are_triton_s_unless_told_otherwise(serve: Serve, server: NotingServer) -> None:
    serve(metrics_address="::1")
    assert server.settings["http"] == ("0.0.0.0", 8000)
    assert server.settings["metrics"] == ("::1", 8002)


def test_http_and_metrics_can_be_left_out(serve: Serve, server: NotingServer) -> None:
    serve(http=False, metrics=False)
    assert not {"http", "metrics"} & set(server.settings)


def test_a_terminal_gets_a_table(serve: Serve, capsys: pytest.CaptureFixture[str], repository: Path) -> None:
    write(repository, "a/1/model.onnx", "broken")
    serve(log_format=LogFormat.TEXT)
    out = capsys.readouterr().out
    assert "Backend" in out
    assert "READY" in out
    assert "UNAVAILABLE" in out
    assert "not ready: 1 of 3 model versions cannot be loaded" in out


def test_a_socket_alone_leaves_tcp_out(
    serve: Serve, server: NotingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(grpc_socket=tmp_path / "s")
    assert events(capsys)["server-ready"]["message"] == f"Ready on unix:{tmp_path / 's'}"
    assert server.settings["socket"] == str(tmp_path / "s")
    assert not {"http", "metrics"} & set(server.settings)


@pytest.mark.parametrize(("strict", "ready"), [(True, [False, False]), (False, [True, False])])
def test_readiness_is_strict_unless_told_otherwise(
    serve: Serve, server: NotingServer, repository: Path, strict: bool, ready: list[bool]
) -> None:
    write(repository, "a/1/model.onnx", "broken")
    serve(strict_readiness=strict)
    assert server.ready == ready


def test_exit_on_error_names_what_failed(serve: Serve, repository: Path) -> None:
    write(repository, "a/1/model.onnx", "broken")
    with pytest.raises(InfermeshError, match="cannot load a, and --exit-on-error was given"):
        serve(exit_on_error=True)


def test_an_empty_repository_is_served_with_a_warning(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    serve(repository=(str(tmp_path / "empty"),))
    told = events(capsys)
    assert told["repository-empty"]["log.level"] == "warning"
    assert "server-ready" in told


@pytest.mark.parametrize(
    ("names", "served"),
    [((), set()), (("digits",), {("digits", 1)}), (("*",), {("digits", 1), ("words", 1)})],
)
def test_explicit_mode_loads_what_is_named(
    serve: Serve, server: NotingServer, names: tuple[str, ...], served: set[tuple[str, int]]
) -> None:
    serve(model_control_mode=ModelControlMode.EXPLICIT, load_model=names)
    assert set(server.served) == served
    assert "control" in server.settings


def test_clients_control_nothing_in_the_other_modes(serve: Serve, server: NotingServer) -> None:
    serve(model_control_mode=ModelControlMode.POLL)
    assert "control" not in server.settings


@pytest.mark.parametrize("which", ["grpc", "http", "metrics"])
def test_a_port_that_is_taken_is_a_failure_with_a_hint(serve: Serve, which: str) -> None:
    with pytest.raises(InfermeshError, match=r"cannot listen on 0\.0\.0\.0:1") as caught:
        serve(**{f"{which}_port": 1})
    assert f"--{which}-port 0" in (caught.value.hint or "")


def test_a_drain_that_runs_out_of_time_is_a_failure(serve: Serve, server: NotingServer) -> None:
    server.drains_in_time = False
    with pytest.raises(InfermeshError, match="still running 30 s after SIGTERM"):
        serve()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("{root}/absent",), 2, "does not exist\nHint: name the directory"),
        (("{root}/digits/1/model.onnx",), 2, "is a file, expected a directory"),
        (("{root}", "--load-model", "digits"), 2, "--load-model was given with --model-control-mode none"),
        (("{root}", "--model-control-mode", "sometimes"), 2, "sometimes"),
        (("{root}", "--grpc-port", "70000"), 2, "--grpc-port"),
        (("{root}", "--no-http", "--http-port", "0"), 2, "--http-port 0 was given with --no-http"),
        (("{root}", "--grpc-port", "1"), 1, "cannot listen on 0.0.0.0:1"),
        (("{root}", "--grpc-port", "0", "--log-format", "json"), 0, ""),
    ],
)
def test_exit_codes(
    serve: Serve,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    from infermesh.cli import main

    assert serve is not None
    with pytest.raises(SystemExit) as caught:
        main(["serve", *(argument.replace("{root}", str(repository)) for argument in arguments)])
    assert caught.value.code == code
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_a_breakdown_ends_readiness_and_is_listed(
    serve: Serve, server: NotingServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from infermesh.shutdown import Shutdown

    wait = Shutdown.wait

    def wait_after_breakdown(self: Shutdown) -> str:
        server.settings["failed"]("words", 1, "the device is lost")
        return wait(self)

    monkeypatch.setattr(Shutdown, "wait", wait_after_breakdown)
    serve(grpc_port=0, http=False, metrics=False)
    told = events(capsys)
    assert told["model-failed"]["error.message"] == "the device is lost"
    assert told["model-failed"]["infermesh.model.name"] == "words"
    assert told["server-not-ready"]["log.level"] == "warning"
    assert server.ready[0] is True
    assert set(server.ready[1:]) == {False}


def test_a_breakdown_may_end_the_process(
    serve: Serve, server: NotingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infermesh.shutdown import Shutdown

    wait = Shutdown.wait

    def wait_after_breakdown(self: Shutdown) -> str:
        server.settings["failed"]("words", 1, "the device is lost")
        assert self.requested
        return wait(self)

    monkeypatch.setattr(Shutdown, "wait", wait_after_breakdown)
    with pytest.raises(InfermeshError, match="words version 1 has failed: the device is lost"):
        serve(grpc_port=0, http=False, metrics=False, exit_on_fatal=True)
    assert server.drained == [30.0]
