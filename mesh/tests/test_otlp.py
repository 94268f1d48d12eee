"""Where telemetry goes, as whose, and what becomes of it when nobody takes it."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from infermesh.errors import ConfigurationError
from infermesh.otlp.destination import Destination, Protocol, is_named
from infermesh.otlp.exporter import Exporter
from infermesh.otlp.resource import resource
from infermesh.otlp.senders import Send, SendError

PREFIX = "OTEL_EXPORTER_OTLP_"


def destination(url: str | None = None, **variables: str) -> Destination:
    return Destination.of({PREFIX + name: value for name, value in variables.items()}, url)


def test_what_is_said_for_traces_takes_precedence() -> None:
    assert destination().url == "http://localhost:4318/v1/traces"
    assert destination(PROTOCOL="grpc").url == "http://localhost:4317"
    assert destination(ENDPOINT="https://c:4318/").url == "https://c:4318/v1/traces"
    assert destination(ENDPOINT="http://c", TRACES_ENDPOINT="http://t/x").url == "http://t/x"
    assert destination("http://u/y", TRACES_ENDPOINT="http://t/x").url == "http://u/y"
    assert destination(PROTOCOL="http/protobuf", TRACES_PROTOCOL="grpc").protocol is Protocol.GRPC
    found = destination(HEADERS="a=1, B=2%203", TIMEOUT="2500", COMPRESSION="gzip", ENDPOINT="https://c")
    assert (found.headers, found.timeout_seconds, found.compress) == ({"a": "1", "b": "2 3"}, 2.5, True)
    assert found.is_secure


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROTOCOL", "http/json"),
        ("ENDPOINT", "collector:4318"),
        ("ENDPOINT", "http://c:port"),
        ("HEADERS", "nothing"),
        ("TIMEOUT", "-1"),
        ("TIMEOUT", "0"),
        ("COMPRESSION", "zstd"),
        ("CERTIFICATE", "/nowhere/ca.pem"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=value.replace("/", "/")):
        destination(**{name: value})


def test_a_certificate_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    assert destination(CERTIFICATE=str(file)).certificate == file


def test_the_environment_may_turn_traces_off() -> None:
    named = {PREFIX + "ENDPOINT": "http://c"}
    assert is_named(named)
    assert not is_named({})
    assert not is_named({**named, "OTEL_SDK_DISABLED": "true"})
    assert not is_named({**named, "OTEL_TRACES_EXPORTER": "none"})


def test_a_process_says_who_it_is() -> None:
    environment = {"OTEL_RESOURCE_ATTRIBUTES": "a=1,service.name=outside,b=x%2Cy"}
    found = resource(environment, {"service.name": "own", "service.version": "1"})
    assert (found["a"], found["b"]) == ("1", "x,y")
    assert (found["service.name"], found["service.version"]) == ("outside", "1")
    environment["OTEL_SERVICE_NAME"] = "named"
    assert resource(environment, {})["service.name"] == "named"
    assert resource(environment, {}, {"service.name": "flag"})["service.name"] == "flag"
    with pytest.raises(ConfigurationError, match="nonsense"):
        resource({"OTEL_RESOURCE_ATTRIBUTES": "nonsense"}, {})


class Spans:
    """A source of so many messages, of two spans each."""

    def __init__(self, messages: int) -> None:
        self.left = messages
        self.lost = 0
        self.ended = threading.Event()

    def take_spans(self, timeout: float) -> tuple[int, bytes] | None:
        if self.left:
            self.left -= 1
            return 2, b"spans"
        self.ended.wait(timeout)
        return None

    def lose_spans(self, count: int) -> None:
        self.lost += count

    def flush_spans(self) -> None:
        self.ended.set()


def export(spans: Spans, connect: Callable[[], Send]) -> None:
    exporter = Exporter(spans, connect, timeout_seconds=1)
    exporter.start()
    exporter.stop(20)


def test_everything_is_sent_before_the_end() -> None:
    spans, sent = Spans(5), []
    export(spans, lambda: lambda message, _: sent.append(message))
    assert (len(sent), spans.lost) == (5, 0)


def test_a_message_is_sent_again_if_that_may_help() -> None:
    spans = Spans(2)
    answers: list[SendError | None] = [
        SendError("busy", retryable=True),
        None,
        SendError("no", retryable=False),
    ]

    def send(_: bytes, timeout: float) -> None:
        assert 0 < timeout <= 1
        if (error := answers.pop(0)) is not None:
            raise error

    export(spans, lambda: send)
    assert (answers, spans.lost) == ([], 2)


def test_a_way_that_cannot_be_made_loses_spans_and_nothing_else() -> None:
    spans = Spans(3)

    def connect() -> Send:
        raise OSError("no such file")

    export(spans, connect)
    assert spans.lost == 6


def test_the_end_does_not_wait_for_a_collector() -> None:
    spans, attempts = Spans(1), threading.Event()

    def send(_: bytes, _timeout: float) -> None:
        attempts.set()
        raise SendError("away", retryable=True)

    exporter = Exporter(spans, lambda: send, timeout_seconds=1)
    exporter.start()
    assert attempts.wait(20)
    exporter.stop(0.05)
    assert spans.left == 0
