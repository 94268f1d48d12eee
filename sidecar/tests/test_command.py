"""``infermesh sidecar`` on the command line: what it reads, writes and says; exit codes."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
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
