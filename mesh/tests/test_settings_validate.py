"""A schema of every kind of field: what it takes, what it says of mistakes, how it is shown."""

from datetime import timedelta
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from infermesh.errors import ConfigurationError
from infermesh.settings.document import YamlDocument
from infermesh.settings.forms import (
    Duration,
    Endpoint,
    ListenAddress,
    OneOrMany,
    OnOrOff,
    Share,
    ShareOrNone,
    Short,
    Size,
)
from infermesh.settings.json_schema import json_schema
from infermesh.settings.section import Section, fields_at
from infermesh.settings.validate import validate
from pydantic import Field


class Retry(Section):
    """Once more."""

    max_attempts: int = Field(default=3, ge=1, le=5, description="Attempts in all.")
    pause: Duration = Field(default=timedelta(milliseconds=25), description="Between two.")
    budget: Share = Field(default=0.2, description="Of all requests.")


class Service(Section):
    """Somebody to call."""

    endpoints: Annotated[list[Endpoint], OneOrMany(), Field(min_length=1, description="Where it is.")]
    retry: Annotated[Retry | None, OnOrOff(), Field(description="Whether to try again.")] = Retry()
    hedge: Annotated[Retry | None, OnOrOff(), Field(description="Whether to ask two.")] = None


class App(Section):
    """Somebody behind."""

    address: Endpoint = Field(description="Where it listens.")
    kind: Literal["web", "grpc"] = Field(default="web", description="What it speaks.")


class Root(Section):
    """All there is."""

    listen: ListenAddress = Field(description="where to accept connections.")
    services: dict[str, Service] = Field(default={}, description="By name.")
    app: Annotated[App | None, Short("address"), Field(description="The app.")] = None
    size: Size = Field(default=1 << 20, description="Of something.")
    sample: ShareOrNone = Field(default=0.01, description="Of something else.")
    source: str | None = Field(default=None, alias="from", min_length=1, description="Whence.")
    number: float = Field(default=1, gt=0, description="Any.")
    on: bool = Field(default=True, description="Whether.")


def read(text: str) -> Root:
    return validate(Root, YamlDocument.parse(text, "it.yaml"))


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return str(caught.value).splitlines()


WHOLE = """
listen: 127.0.0.1:0
services:
  a: {endpoints: h:1}
  b: {endpoints: [h:1, h:2], retry: false, hedge: true}
  c: {endpoints: h:1, retry: {max_attempts: 2, pause: 1s, budget: 50%}}
app: 127.0.0.1:5000
size: 2MiB
sample: 0.5%
from: here
number: 2
"""


def test_defaults_and_short_forms() -> None:
    root = read(WHOLE)
    assert root.services["a"].endpoints == ["h:1"]
    assert root.services["a"].retry == Retry()
    assert root.services["b"].retry is None
    assert root.services["b"].hedge == Retry()
    assert root.services["c"].retry == Retry.model_validate({"max_attempts": 2, "pause": "1s", "budget": 0.5})
    assert root.app == App(address="127.0.0.1:5000")
    assert (root.size, root.sample, root.source, root.number) == (1 << 21, 0.005, "here", 2)


def test_what_is_written_can_be_read_again() -> None:
    root = read(WHOLE)
    written: dict[str, Any] = root.model_dump(by_alias=True)
    assert written["services"]["b"] == {
        "endpoints": ["h:1", "h:2"],
        "retry": False,
        "hedge": {"max_attempts": 3, "pause": "25ms", "budget": "20%"},
    }
    assert written["from"] == "here"
    assert "hedge" not in written["services"]["a"]
    assert validate(Root, YamlDocument("again", written, {})) == root


def test_every_mistake_is_a_line_with_place_found_and_expected() -> None:
    assert mistakes("""\
services:
  a:
    endpoints: [h:1, nowhere]
    retry:
      max_attempts: 9
      pause: 0s
      budget: 0%
    hegde: true
  b: 1
  c: {endpoints: []}
  d: {endpoints: h:1, retry: off}
app: {address: h:1, kind: gprc}
size: 16
from: ''
number: 0
on: yes
sample: 1
nonsense: 1
""") == [
        "it.yaml:1: listen: is missing, expected: where to accept connections.",
        "it.yaml:3: services.a.endpoints[1]: found 'nowhere', "
        "expected HOST:PORT such as 127.0.0.1:8001, [IPv6]:PORT or unix:PATH",
        "it.yaml:5: services.a.retry.max_attempts: found 9, expected 5 at most",
        "it.yaml:6: services.a.retry.pause: found '0s', expected a time above 0",
        "it.yaml:7: services.a.retry.budget: found '0%', expected a share above 0%",
        "it.yaml:8: services.a.hegde: found an unknown field, expected hedge",
        "it.yaml:9: services.b: found 1, expected a mapping",
        "it.yaml:10: services.c.endpoints: found an empty list, expected at least 1",
        "it.yaml:11: services.d.retry: found 'off', expected true, false or a mapping",
        "it.yaml:12: app.kind: found 'gprc', expected 'web' or 'grpc'",
        "it.yaml:13: size: found 16, expected a size such as 64KiB, 16MiB or 1GiB",
        "it.yaml:14: from: found '', expected text that is not empty",
        "it.yaml:15: number: found 0, expected more than 0",
        "it.yaml:16: on: found 'yes', expected true or false",
        "it.yaml:17: sample: found 1, expected a share such as 1% or 0.01, 100% at most",
        "it.yaml:18: nonsense: found an unknown field, expected one of "
        "listen, services, app, size, sample, from, number, on",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it.yaml:1: listen: is missing"),
        ("[]", "it.yaml:1: found an empty list, expected a mapping"),
        ("listen: 5", "it.yaml:1: listen: found 5, expected text"),
        ("listen:", "it.yaml:1: listen: found nothing, expected text"),
        ("listen: a:1\nservices: [a]", "it.yaml:2: services: found a list, expected a mapping"),
        ("listen: a:1\napp: nowhere", "it.yaml:2: app: found 'nowhere', expected HOST:PORT"),
        (
            "listen: a:1\nservices: {a: {}}",
            "it.yaml:2: services.a.endpoints: is missing, expected: Where it is.",
        ),
        ("listen: a:1\nservices: {a: {endpoints: 1}}", "services.a.endpoints: found 1, expected text"),
        (
            "listen: a:1\nservices: {a: {endpoints: h:1, retry: {max_attempts: 1.5}}}",
            "expected a whole number",
        ),
        (
            "listen: a:1\nservices: {a: {endpoints: h:1, retry: }}",
            "retry: found nothing, expected true, false",
        ),
        (f"listen: {'x' * 100}", f"found '{'x' * 77}...', expected HOST"),
    ],
)
def test_one_mistake(text: str, message: str) -> None:
    (line,) = mistakes(text)
    assert message in line


def test_editors_take_what_is_taken_and_refuse_what_is_refused() -> None:
    schema = json_schema(Root)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    whole = YamlDocument.parse(WHOLE, "it.yaml").data
    assert list(validator.iter_errors(whole)) == []
    for wrong in (
        {"listen": "nowhere"},
        {"listen": "a:1", "size": 16},
        {"listen": "a:1", "nonsense": 1},
        {"listen": "a:1", "services": {"a": {"endpoints": "h:1", "retry": "off"}}},
    ):
        assert list(validator.iter_errors(wrong)), wrong
    properties = schema["properties"]
    assert properties["size"]["default"] == "1MiB"
    assert properties["sample"]["default"] == "1%"
    assert schema["$defs"]["Retry"]["properties"]["pause"]["default"] == "25ms"
    assert properties["app"]["description"] == "The app."


def test_a_schema_can_be_asked_for_the_fields_of_a_place() -> None:
    assert list(fields_at(Root, ("services", "a", "retry"))) == ["max_attempts", "pause", "budget"]
    assert list(fields_at(Root, ("app",))) == ["address", "kind"]
    assert fields_at(Root, ("services", "a", "endpoints", 0)) == {}
    assert fields_at(Root, ("nonsense", "a")) == {}
