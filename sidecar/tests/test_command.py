"""``infermesh sidecar`` on the command line: what it reads, writes and says; exit codes."""

import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml
from infermesh import cli
from infermesh.errors import ConfigurationError
from infermesh.settings.document import OptionsDocument, YamlDocument
from infermesh.settings.json_schema import json_schema
from infermesh_sidecar.command.app import EXAMPLES, app
from infermesh_sidecar.command.describe import describe
from infermesh_sidecar.command.launching import launch
from infermesh_sidecar.command.options import StartOptions
from infermesh_sidecar.command.written import written
from infermesh_sidecar.process.launch import Launch
from infermesh_sidecar.reference import reference
from infermesh_sidecar.settings.read import read_settings
from infermesh_sidecar.settings.sidecar import Sidecar
from support.sidecar_settings import EVERYTHING, TESTS, read

FLAGS = ("--listen", "127.0.0.1:15001", "--upstream", "127.0.0.1:8001")


class Outcome:
    """Of one run of the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["sidecar", *map(str, arguments)])
        self.code = caught.value.code
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """A folder with a sidecar.yaml in which everything is said, and the files that it names."""
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).touch()
    (tmp_path / "endpoints.yaml").write_text("stock: ['10.0.0.9:8001']\n")
    (tmp_path / "sidecar.yaml").write_text(EVERYTHING)
    return tmp_path / "sidecar.yaml"


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Launch]:
    """What would have been started."""
    found: list[Launch] = []
    monkeypatch.setattr(Launch, "become", lambda launch: found.append(launch))
    return found


def test_a_file_becomes_a_sidecar(
    capsys: pytest.CaptureFixture[str], everything: Path, launched: list[Launch]
) -> None:
    assert Outcome(capsys, "--config", everything).code == 0
    (made,) = launched
    assert made.source == str(everything)
    assert made.admin == "127.0.0.1:15999"
    assert (made.log_format, made.log_requests) == ("json", True)
    assert made.resource["service.name"] == "shop"
    assert made.endpoint_files == {"stock": everything.parent / "endpoints.yaml"}
    assert made.functions == ["shop.features:make"]
    assert made.folder == everything.parent
    assert [(it.address, it.path, it.timeout) for it in made.apps] == [("127.0.0.1:5000", "/healthz", 10)]
    ending = made.ending
    assert (ending.drain_delay, ending.drain_timeout, ending.app_timeout) == (5, 20, 10)
    assert ending.apps == ["127.0.0.1:5000"]
    assert made.captures is not None
    assert made.captures.directory == everything.parent / "captures"
    assert (made.captures.max_file_bytes, made.captures.max_file_age) == (1 << 20, 60)
    assert made.captures.max_total_bytes == 10 << 20
    assert made.traces is not None
    assert (made.traces.sample_rate, made.traces.url) == (0.05, "http://collector:4318/v1/traces")
    assert made.warnings == []
    assert made.command == ()


def test_a_command_may_come_with_it(
    capsys: pytest.CaptureFixture[str], everything: Path, launched: list[Launch]
) -> None:
    assert Outcome(capsys, "run", "--config", everything, "--", "ls", "-l", "--config").code == 0
    assert list(launched[0].command) == ["ls", "-l", "--config"]


def test_options_of_the_command_need_no_dashes_before_it(
    capsys: pytest.CaptureFixture[str], launched: list[Launch]
) -> None:
    assert Outcome(capsys, "run", *FLAGS, "ls", "-l").code == 0
    assert list(launched[0].command) == ["ls", "-l"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config", "nowhere.yaml"), "nowhere.yaml: cannot be read: No such file or directory"),
        (
            ("--listen", "127.0.0.1:1"),
            "found nothing to do, expected --config FILE, or --listen ADDR and",
        ),
        (("--check",), "found nothing to do"),
        (("--config", "x", "--admin", "a:1", "--threads", "2"), "found --admin, --threads beside --config"),
        (("--config", "x", "--outbound"), "found --outbound beside --config"),
        ((*FLAGS, "--timeout", "soon"), "--timeout: found 'soon', expected a time such as 50ms"),
        ((*FLAGS, "--threads", "0"), "--threads: found 0, expected at least 1"),
        ((*FLAGS, "--admin", "here"), "--admin: found 'here', expected HOST:PORT"),
        (
            (*FLAGS, "--identity", "nowhere"),
            "--identity: nowhere does not exist, expected a folder with tls",
        ),
        ((*FLAGS, "--upstream", "h:x"), "--upstream: found 'h:x', expected HOST:PORT"),
        (("--inbound", *FLAGS, "--upstream", "h:1"), "--upstream: found 2 addresses, expected the app's"),
        (
            (*FLAGS, "--admin", "127.0.0.1:15001"),
            "--admin: found '127.0.0.1:15001', expected one on which",
        ),
        ((*FLAGS, "run", "ls"), "found --listen, --upstream before run, expected options behind the command"),
        (("--check", "status"), "found --check or --print-config before status"),
        (("run", *FLAGS, "--", "no-such-program"), "found no program 'no-such-program' to run"),
        (("status", "--admin", "here"), "--admin: found 'here', expected HOST:PORT"),
        (("nonsense",), "nonsense"),
        ((*FLAGS, "--nonsense"), "--nonsense"),
        (("run", *FLAGS), "Missing argument"),
    ],
)
def test_what_is_wrong_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    outcome = Outcome(capsys, *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_mistakes_of_a_file_are_told_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    file.write_text("outbound: {listen: nowhere}\nservices:\n  a: {endpoint: 'h:1'}\n")
    outcome = Outcome(capsys, "--config", file)
    assert outcome.code == 2
    assert outcome.err == (
        f"Error: {file}:1: outbound.listen: found 'nowhere', expected HOST:PORT such as 127.0.0.1:8001, "
        "[IPv6]:PORT or unix:PATH\n"
        f"{file}:3: services.a.endpoint: found an unknown field, expected endpoints\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            None,
            "sidecar.yaml:2: services.a.endpoints_file: {file}: cannot be read: No such file",
        ),
        ("[]", "{file}:1: expected a mapping of services to lists of addresses"),
        ("b: []", "{file}:1: found no a, expected it among b"),
        ("a: h:1", "{file}:1: a: expected a list of addresses"),
        ("a:\n- h:1\n- h:0", "{file}:3: a[1]: found 'h:0', expected a port from 1 to 65535"),
    ],
)
def test_a_file_of_endpoints_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "endpoints.yaml"
    if text is not None:
        file.write_text(text)
    config = tmp_path / "sidecar.yaml"
    config.write_text("services:\n  a: {endpoints_file: endpoints.yaml}\noutbound: {listen: 'h:2'}\n")
    outcome = Outcome(capsys, "--config", config, "--check")
    assert outcome.code == 2
    assert message.format(file=file) in outcome.err


def of_options(*arguments: str) -> Sidecar:
    """What a command line stands for."""
    found: list[Sidecar] = []

    def note(options: StartOptions, **_: object) -> None:
        options.check()
        found.append(read_settings(OptionsDocument("the command line", *options.data())))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("infermesh_sidecar.command.start.run", note)
        with pytest.raises(SystemExit) as caught:
            cli.main(["sidecar", *arguments])
    assert caught.value.code == 0
    (sidecar,) = found
    return sidecar


def test_options_stand_for_a_configuration() -> None:
    assert of_options(*FLAGS) == read("""
services: {upstream: {endpoints: ["127.0.0.1:8001"]}}
outbound: {listen: "127.0.0.1:15001"}
log: {requests: false}
""")
    assert of_options(
        *("--outbound", "--listen", "unix:/run/a", "--upstream", "a:1,b:2", "--upstream", "c:3"),
        *("--timeout", "200ms", "--threads", "2", "--name", "shop", "--admin", "off"),
        *("--log-format", "json", "--log-requests", "--identity", "id"),
    ) == read("""
name: shop
admin: false
threads: 2
identity: {directory: id}
services: {upstream: {endpoints: ["a:1", "b:2", "c:3"], timeout: 200ms}}
outbound: {listen: "unix:/run/a"}
log: {format: json, requests: true}
""")
    assert of_options("--inbound", *FLAGS, "--timeout", "5s", "--admin", "127.0.0.1:0") == read("""
admin: 127.0.0.1:0
inbound: {listen: "127.0.0.1:15001", app: "127.0.0.1:8001", timeout: 5s}
log: {requests: false}
""")


@pytest.mark.parametrize(
    "text",
    [
        EVERYTHING,
        "inbound: {listen: 'h:1', app: 'h:2'}",
        "admin: false\ninbound: [{listen: 'h:1', app: 'h:2'}, {listen: 'h:3', app: 'h:2'}]",
        """
services:
  a: {endpoints: "h:1", retry: false, breaker: false, hedge: true, concurrency: true, transcode: false}
  b: {dns: "h:1", protocol: http1, rate_limit: {rate: 1}}
outbound:
  listen: "h:2"
  routes:
  - {service: a, retry: true, timeout: 0s, cache: true}
  - {service: b, breaker_: 1}
""".replace(", breaker_: 1", ", retry: false"),
    ],
)
def test_what_is_printed_means_the_same(text: str) -> None:
    sidecar = read(text)
    printed = written(sidecar)
    again = read(printed)
    assert written(again) == printed
    assert everything_of(again) == everything_of(sidecar)


def everything_of(sidecar: Sidecar) -> bytes:
    from infermesh_sidecar.translate.config import proxy_config

    return proxy_config(sidecar, None, {}, 0.0).SerializeToString(deterministic=True)


def test_defaults_are_filled_in(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, *FLAGS, "--print-config")
    assert outcome.code == 0
    printed = yaml.safe_load(outcome.out)
    assert printed["services"]["upstream"]["retry"]["max_attempts"] == 3
    assert printed["services"]["upstream"]["transcode"] == {"metadata_ttl": "1m"}
    assert printed["limits"]["memory"] == "256MiB"
    assert printed["outbound"]["listen"] == "127.0.0.1:15001"
    assert "inbound" not in printed


def test_a_check_says_what_it_would_do(capsys: pytest.CaptureFixture[str], everything: Path) -> None:
    outcome = Outcome(capsys, "--config", everything, "--check")
    assert outcome.code == 0
    said = outcome.out.replace(str(everything.parent), "FOLDER")
    assert said == (TESTS / "everything.txt").read_text()


def test_a_check_warns_as_the_log_will(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--inbound", "--listen", "0.0.0.0:15006", "--upstream", "127.0.0.1:5000")
    out = Outcome(capsys, *flags, "--check").out
    assert "\nWarning: 0.0.0.0:15006 is reached from other machines and speaks plaintext" in out


def test_traces_go_where_the_environment_says() -> None:
    def traces(text: str = "", **environment: str) -> Any:
        document = YamlDocument.parse(f"inbound: {{listen: 'h:1', app: 'h:2'}}\n{text}", "sidecar.yaml")
        return launch(read_settings(document), document, Path(), environment).traces

    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}
    assert traces() is None
    assert traces(**collector).sample_rate == 0.001
    assert (
        traces(**collector, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5").sample_rate
        == 0.5
    )
    assert traces(**collector, OTEL_TRACES_SAMPLER="always_off") is None
    assert traces("tracing: {sample: 30%}", **collector).sample_rate == 0.3
    assert traces("tracing: {sample: 0%}", **collector).sample_rate == 0
    assert traces("tracing: {sample: 30%}") is None
    assert traces("tracing: {endpoint: 'http://d:4318/v1/traces'}").url == "http://d:4318/v1/traces"
    with pytest.raises(ConfigurationError, match="bsp_max_queue_size"):
        traces(**collector, OTEL_BSP_MAX_QUEUE_SIZE="many")


def test_editors_get_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "schema")
    schema = json.loads(outcome.out)
    assert schema == json_schema(Sidecar)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(yaml.safe_load(EVERYTHING.replace("tls: off", "tls: 'off'")))) == []
    assert list(validator.iter_errors({"inbund": {}}))
    assert all("description" in it for it in schema["properties"].values())


STATS: dict[str, Any] = {
    "name": "shop",
    "version": "0.1.0",
    "uptime_seconds": 125.0,
    "ready": True,
    "unready_because": None,
    "connections": 3,
    "routes": [
        {
            "listener": "outbound",
            "route": "fraud",
            "cluster": "fraud",
            "requests": 12_345,
            "failures": 2,
            "requests_per_second": 98.76,
            "requests_in_flight": 4,
            "retries": 7,
            "latency_seconds": {"mean": 0.002, "p50": 0.0012, "p90": 0.004, "p99": 1.5},
        }
    ],
    "endpoints": [
        {
            "cluster": "fraud",
            "endpoint": "10.0.0.7:8001",
            "available": False,
            "unavailable_because": "its breaker is open",
            "healthy": True,
            "breaker": {"state": "open", "open_for_seconds": 3.25, "openings": 1},
            "requests": 100,
            "failures": 9,
            "requests_in_flight": 0,
            "connections": 1,
            "latency_seconds": {"mean": None, "p50": None, "p90": None, "p99": None},
        },
        {
            "cluster": "fraud",
            "endpoint": "10.0.0.8:8001",
            "available": False,
            "unavailable_because": "it fails its health checks",
            "healthy": False,
            "breaker": None,
            "requests": 0,
            "failures": 0,
            "requests_in_flight": 0,
            "connections": 0,
            "latency_seconds": {"mean": None, "p50": None, "p90": None, "p99": None},
        },
    ],
}
CERTIFICATES: dict[str, Any] = {
    "identity": {
        "id": "spiffe://shop/web",
        "trust_domain": "shop",
        "certificate": {
            "subject": "",
            "issuer": "CN=shop",
            "serial": "1f",
            "not_before": "2026-11-26 12:00:00 UTC",
            "not_after": "2026-11-27 12:00:00 UTC",
            "seconds_left": 80_000,
        },
        "life_left": 0.62,
        "loaded": "2026-11-26 12:00:01 UTC",
        "reload_error": None,
        "authorities": [{"subject": "CN=shop", "not_after": "2036-11-26 12:00:00 UTC"}],
        "handshakes": {
            "accepted": {"done": 1200, "resumed": 7, "without_tls": 0, "failed": {"expired": 2}},
            "connected": {"done": 3, "resumed": 0, "without_tls": 0, "failed": {}},
        },
    }
}
CALL = {
    "event": "end",
    "id": 1,
    "infermesh.listener": "outbound",
    "infermesh.route": "fraud",
    "infermesh.cluster": "fraud",
    "client.address": "127.0.0.1:4711",
    "rpc.system": "grpc",
    "url.path": "/inference.GRPCInferenceService/ModelInfer",
    "rpc.grpc.status_code": 0,
    "event.outcome": "success",
    "event.duration": 1_200_000,
    "infermesh.attempts": 2,
    "server.address": "10.0.0.7:8001",
}
EVENTS = [
    {"event": "begin", "id": 1, "url.path": "/", "infermesh.listener": "outbound"},
    CALL,
    {"event": "lost", "count": 5},
    {
        **CALL,
        "rpc.grpc.status_code": 14,
        "event.outcome": "failure",
        "error.type": "UNAVAILABLE",
        "infermesh.error.source": "upstream",
        "error.message": "nobody is there",
        "client.user.id": "spiffe://shop/web",
        "infermesh.attempts": 1,
    },
    {
        "event": "end",
        "id": 3,
        "infermesh.listener": "inbound",
        "client.address": "127.0.0.1:4711",
        "http.request.method": "GET",
        "url.path": "/x",
        "http.response.status_code": 404,
        "event.outcome": "failure",
        "error.type": "404",
        "event.duration": 50_000,
        "infermesh.attempts": 0,
    },
]


@contextmanager
def serving(answers: dict[str, object]) -> Iterator[tuple[str, list[str]]]:
    """An admin endpoint with fixed answers; its address, and the paths that it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = answers.get(self.path.partition("?")[0])
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name of the base

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_status_is_tables(capsys: pytest.CaptureFixture[str]) -> None:
    with serving({"/stats": STATS, "/certificates": CERTIFICATES}) as (admin, _):
        outcome = Outcome(capsys, "status", "--admin", admin, "--format", "text")
    assert outcome.code == 0
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert lines[0] == "shop 0.1.0, ready, up for 2 min 5 s, 3 connections"
    assert "outbound fraud fraud 12,345 98.8 2 4 7 1.2 ms 1.5 s" in lines
    assert "fraud 10.0.0.7:8001 breaker open for 3.25 s 100 9 0 1" in lines
    assert "fraud 10.0.0.8:8001 it fails its health checks 0 0 0 0" in lines
    assert "id spiffe://shop/web" in lines
    assert "valid until 2026-11-27 12:00:00 UTC, 62% of its life are left" in lines
    assert "trusts CN=shop until 2036-11-26 12:00:00 UTC" in lines
    assert "handshakes accepted 1,200, 7 resumed, 2 failed: expired" in lines


def test_status_of_one_that_is_not_ready_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    stats = {**STATS, "ready": False, "unready_because": "it was asked to end"}
    with serving({"/stats": stats, "/certificates": {"identity": None}}) as (admin, _):
        outcome = Outcome(capsys, "status", "--admin", admin)
    assert outcome.code == 1
    assert json.loads(outcome.out)["unready_because"] == "it was asked to end"
    assert outcome.err == f"Error: the sidecar at {admin} is not ready: it was asked to end\n"


def test_requests_are_shown_as_they_pass(capsys: pytest.CaptureFixture[str]) -> None:
    events = b"".join(json.dumps(event).encode() + b"\n" for event in EVENTS)
    with serving({"/tap": events}) as (admin, asked):
        filters = ("--route", "a b", "--code", "OK", "--code", "5xx", "--min-ms", "1.5")
        text = Outcome(capsys, "tap", "--admin", admin, "--format", "text", *filters)
        plain = Outcome(capsys, "tap", "--admin", admin)
    assert (text.code, plain.code) == (0, 0)
    assert asked == ["/tap?route=a+b&code=OK&code=5xx&min_ms=1.5", "/tap"]
    lines = [" ".join(line.split()) for line in text.out.splitlines()]
    call = "/inference.GRPCInferenceService/ModelInfer outbound/fraud -> 10.0.0.7:8001"
    # Each has a time in front.
    assert [line if "too fast" in line else line.split(" ", 1)[1] for line in lines] == [
        f"OK 1.2 ms {call} 2 attempts from 127.0.0.1:4711",
        "5 events came too fast to be shown",
        f"UNAVAILABLE 1.2 ms {call} from spiffe://shop/web upstream: nobody is there",
        "404 0.05 ms GET /x inbound/ -> nobody from 127.0.0.1:4711",
    ]
    assert [json.loads(line) for line in plain.out.splitlines()] == EVENTS


def test_an_end_that_does_not_come_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with serving({"/drain": {"draining": True}}) as (admin, asked):
        outcome = Outcome(capsys, "drain", "--admin", admin, "--wait", "--timeout", "0.2")
        assert outcome.err == f"Error: the sidecar at {admin} has not ended within 0.2 s\n"
        assert outcome.code == 1
        assert Outcome(capsys, "drain", "--admin", admin).out.startswith(f"The sidecar at {admin} finishes")
    assert asked == ["/drain", "/drain"]


@pytest.mark.parametrize("command", ["status", "tap", "drain"])
def test_what_nobody_answers_is_a_failure(capsys: pytest.CaptureFixture[str], command: str) -> None:
    outcome = Outcome(capsys, command, "--admin", "127.0.0.1:1")
    assert outcome.code == 1
    assert outcome.err.startswith("Error: no sidecar answers at 127.0.0.1:1: ")
    with serving({}) as (admin, _):
        outcome = Outcome(capsys, command, "--admin", admin)
    assert outcome.code == 1
    assert "is refused: 404 Not Found: null" in outcome.err


@pytest.mark.parametrize("line", [it.strip() for it in EXAMPLES.splitlines() if "infermesh sidecar " in it])
def test_examples_are_understood(line: str) -> None:
    group: Any = typer.main.get_command(app)
    _, _, *words = shlex.split(line.partition(" > ")[0])
    command = group.commands[words.pop(0)] if words[0] in group.commands else group
    # Parsing alone: nothing is opened, nothing runs.
    context = command.make_context("sidecar", words)
    assert context.args == []


def imported(script: str, *modules: str) -> str:
    """Which of some modules a script imports."""
    script = f"{script}\nimport sys; print(sorted({set(modules)} & set(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    return out.splitlines()[-1]


def test_help_imports_little() -> None:
    script = """
from infermesh.cli import main
try: main(["sidecar", "--help"])
except SystemExit: pass
"""
    heavy = ("infermesh.settings.section", "yaml", "google.protobuf", "infermesh_native", "grpc", "rich")
    assert imported(script, *heavy) == "[]"


def test_the_process_imports_no_more_than_it_needs() -> None:
    """There is a sidecar beside every app: each megabyte counts as often as there are apps."""
    heavy = ("pydantic", "typer", "click", "rich", "yaml", "google.protobuf", "grpc", "ssl", "numpy")
    assert imported("import infermesh_sidecar.process.main", *heavy) == "[]"


def test_what_it_would_do_is_described_without_starting() -> None:
    document = YamlDocument.parse("inbound: {listen: 'h:1', app: 'h:2'}", "sidecar.yaml")
    made = launch(read_settings(document), document, Path(), {})
    assert describe(made).startswith("sidecar.yaml is right: sidecar\n")


def test_the_reference_is_that_of_the_schema_and_the_commands() -> None:
    written_down = (TESTS.parents[1] / "docs/sidecar-reference.md").read_text()
    assert written_down == reference(), "python -m infermesh_sidecar.reference > docs/sidecar-reference.md"


def test_the_reference_has_every_field(everything: Path) -> None:
    def names(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for name, below in value.items():
                yield str(name)
                yield from names(below)
        elif isinstance(value, list):
            for below in value:
                yield from names(below)

    # Of services, inputs, outputs and headers, which have names of their own.
    own = {"fraud", "catalog", "stock", "amount", "country", "score", "x-kind"}
    page = reference()
    for name in set(names(YamlDocument.read(everything).data)) - own:
        assert f"| `{name}` |" in page, name


def test_the_configuration_that_the_reference_begins_with_is_right(tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).touch()
    example = reference().partition("```yaml\n")[2].partition("```")[0]
    read(example.replace("/var/run/secrets/infermesh", str(tmp_path)))
