"""From sidecar.yaml to ProxyConfig: every field has a place, and defaults are those of the data plane."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import grpc
import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from infermesh.errors import ConfigurationError
from infermesh.policies.requests import GrpcCode
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from infermesh_sidecar.translate.config import identity_files, proxy_config
from support.sidecar_settings import EVERYTHING, TESTS, read

PROTO = TESTS.parents[1] / "protos/infermesh/proxy/v1/proxy.proto"


def translated(text: str, folder: Path = Path()) -> pb.ProxyConfig:
    sidecar = read(text)
    identity = None if sidecar.identity is None else identity_files(sidecar.identity, folder)
    return proxy_config(sidecar, identity, {"stock": ["10.0.0.9:8001"]}, 0.05)


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """A folder with the files of an identity, into which nobody looks here."""
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).touch()
    return tmp_path


def said(message: Message) -> Iterator[tuple[str, str]]:
    """Every field that is set somewhere in a message, as message and field."""
    for field, value in message.ListFields():
        yield field.containing_type.full_name, field.name
        if is_section(field):
            for child in [value] if isinstance(value, Message) else value:
                yield from said(child)


def fields(descriptor: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    """Every field that there is in a message and below it."""
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        yield field
        if is_section(field) and field.message_type.full_name not in seen:
            yield from fields(field.message_type, seen)


def is_section(field: FieldDescriptor) -> bool:
    return field.message_type is not None and not field.message_type.GetOptions().map_entry


def all_fields() -> list[FieldDescriptor]:
    return list(fields(pb.ProxyConfig.DESCRIPTOR, set()))


def test_every_field_can_be_said(identity: Path) -> None:
    there_are = {(it.containing_type.full_name, it.name) for it in all_fields()}
    assert there_are - set(said(translated(EVERYTHING, identity))) == set()


def test_every_field_has_the_value_that_is_written(identity: Path) -> None:
    shown = text_format.MessageToString(translated(EVERYTHING, identity)).replace(f"{identity}/", "")
    assert shown == (TESTS / "everything.textproto").read_text()


def test_every_value_of_an_enum_can_be_said() -> None:
    config = translated(
        """
identity: {certificate: /dev/null, key: /dev/null, authorities: /dev/null}
services:
  a: {endpoints: "h:1", protocol: auto, rate_limit: {rate: 1, key: all}}
  b: {endpoints: "h:1", protocol: http1, rate_limit: {rate: 1, key: caller}}
  c: {endpoints: "h:1", protocol: http2, rate_limit: {rate: 1, key: header, header: x}}
outbound: {listen: "h:2", tls: off, routes: [{service: a}, {service: b}, {service: c}]}
inbound:
- {listen: "h:3", app: "h:4", tls: permissive, routes: [{match: {protocol: grpc}}, {match: {protocol: http}}]}
- {listen: "h:5", app: "h:6", tls: mutual, enrich: [
    {service: a, model: m, inputs: {x: path}, outputs: {y: body.y}, on_failure: open},
    {service: a, model: m, inputs: {x: path}, outputs: {y: body.y}, on_failure: closed}]}
""".replace("/dev/null", str(PROTO))
    )
    found: dict[str, set[int]] = {}

    def collect(message: Message) -> None:
        for field in message.DESCRIPTOR.fields:
            value: Any = getattr(message, field.name)
            if field.enum_type is not None:
                found.setdefault(field.enum_type.name, set()).add(value)
            elif is_section(field):
                for child in [value] if isinstance(value, Message) else value:
                    # What is not there has no values.
                    if child.ByteSize() or not isinstance(value, Message):
                        collect(child)

    collect(config)
    known = {it.name: set(it.values_by_number) for it in pb.DESCRIPTOR.enum_types_by_name.values()}
    # What only a gateway is.
    known["Direction"].remove(pb.DIRECTION_UNSPECIFIED)
    assert found == known


#: Each section with nothing said in it but what has to be.
MINIMAL = """
services:
  a:
    endpoints: "h:1"
    retry: true
    hedge: true
    rate_limit: {rate: 1}
    concurrency: true
    coalesce: true
    cache: true
    breaker: true
    outlier: true
    health_check: true
  b: {dns: "h:1"}
outbound:
  listen: "h:2"
  enrich: {service: a, model: m, inputs: {x: {from: path}}, outputs: {y: body.y}}
capture: {directory: d}
"""

#: Defaults that a comment gives after "0:" or "Empty:"; the second of two is the next field's.
DOCUMENTED = re.compile(r"(?:^|[.;:] )(?:0|Empty): ([^;]+?)(?:\.$|;|\. )")


def documented() -> Iterator[tuple[str, str, str]]:
    """Message, field and the words in which the proto says what is taken in its place."""
    message, comment, left = "", "", ""
    for line in map(str.strip, PROTO.read_text().splitlines()):
        if opened := re.fullmatch(r"message (\w+) \{", line):
            message = opened[1]
        if line.startswith("//"):
            comment = f"{comment} {line.removeprefix('//').strip()}".strip()
            continue
        if declared := re.match(r"(?:repeated |optional )?[\w.]+ (\w+) = \d+;", line):
            found = DOCUMENTED.search(comment)
            words = found[1] if found else left
            first, _, left = words.partition(" and ") if found else (words, "", "")
            if first:
                yield message, declared[1], first
        comment = ""


_UNITS = {"us": 1e3, "ms": 1e6, "s": 1e9, "KiB": 2**10, "MiB": 2**20}


def number(words: str) -> float | None:
    """What a default is in the units of the messages; None if it is no single number."""
    found = re.fullmatch(r"([\d.,]+)(?: (us|ms|s|KiB|MiB))?", words)
    return float(found[1].replace(",", "")) * _UNITS.get(found[2], 1) if found else None


def test_the_comments_say_defaults() -> None:
    found = {(message, field): words for message, field, words in documented()}
    assert found["Retry", "backoff_base_ns"] == "25 ms"
    assert found["Retry", "backoff_max_ns"] == "250 ms"
    assert found["Concurrency", "max"] == "1,000"
    assert found["Limits", "memory_bytes"] == "256 MiB"
    assert len(found) > 40


def test_defaults_are_those_of_the_data_plane() -> None:
    """What is sent for nothing said is nothing, or what the data plane would take for it."""
    config = translated(MINIMAL)
    words = {(message, field): it for message, field, it in documented()}
    compared = 0

    def compare(message: Message) -> None:
        nonlocal compared
        for field, value in message.ListFields():
            where = (message.DESCRIPTOR.name, field.name)
            if is_section(field):
                for child in [value] if isinstance(value, Message) else value:
                    compare(child)
            elif (expected := number(words.get(where, ""))) is not None:
                assert value == pytest.approx(expected), where
                compared += 1
            elif where == ("Retry", "codes"):
                assert [grpc.StatusCode[it].value[0] for it in words[where].split(", ")] == list(value)
            elif where == ("Retry", "http_statuses"):
                assert [int(it) for it in words[where].split(", ")] == list(value)
            elif where == ("Concurrency", "priority_header"):
                assert words[where].startswith(f"`{value}`")

    compare(config)
    assert compared > 40


def test_codes_are_those_of_grpc() -> None:
    known = {code.name: code.value[0] for code in grpc.StatusCode if code is not grpc.StatusCode.OK}
    names = list(get_args(GrpcCode))
    assert set(names) == set(known)
    config = translated(f"""
services: {{a: {{endpoints: "h:1", retry: {{codes: {names}}}}}}}
outbound: {{listen: "h:2"}}
""")
    (route,) = config.listeners[0].routes
    assert list(route.retry.codes) == [known[name] for name in names]


def listener(text: str) -> pb.Listener:
    return translated(text).listeners[0]


def test_one_service_is_one_route() -> None:
    (route,) = listener('services: {fraud: {endpoints: "h:1"}}\noutbound: {listen: "h:2"}').routes
    assert route.cluster == route.name == "fraud"
    assert not route.match.ListFields()
    assert route.HasField("transcode")
    assert route.HasField("retry")
    assert not route.HasField("hedge")


def test_several_services_are_found_by_name_and_model() -> None:
    routes = listener("""
services:
  fraud: {endpoints: "h:1"}
  vision: {endpoints: "h:1", models: [cats, dogs]}
outbound: {listen: "h:2", service: fraud}
""").routes
    assert [route.cluster for route in routes] == ["vision", "fraud"]
    wanted = [list(it.authorities) or it.path or it.prefix for it in routes[0].match.any]
    assert wanted == [
        ["vision", "vision.localhost"],
        "/v2/models/cats",
        "/v2/models/dogs",
        "/models/cats",
        "/models/dogs",
        "/v2/models/cats/",
        "/v2/models/dogs/",
        "/models/cats/",
        "/models/dogs/",
    ]
    assert not routes[1].match.ListFields()


@pytest.mark.parametrize("rest", ["", ", service: fraud"])
def test_a_canary_does_not_take_the_models_of_its_service(rest: str) -> None:
    config = translated(f"""\
services:
  canary: {{endpoints: "h:1", models: [fraud, next]}}
  fraud: {{endpoints: "h:2", split: {{canary: 10%}}}}
outbound: {{listen: "h:3"{rest}}}
""")
    routes = {route.cluster: route.match for route in config.listeners[0].routes}
    assert [it.path for it in routes["canary"].any if it.path] == ["/v2/models/next", "/models/next"]
    assert list(routes["canary"].any[0].authorities) == ["canary", "canary.localhost"]
    if not rest:
        assert [it.path for it in routes["fraud"].any if it.path] == ["/v2/models/fraud", "/models/fraud"]
    shares = {it.name: [(to.cluster, to.millionths) for to in it.split] for it in config.clusters}
    assert shares == {"canary": [], "fraud": [("canary", 100_000)]}


def test_without_a_service_for_the_rest_there_is_no_route_for_it() -> None:
    routes = listener("""
services: {a: {endpoints: "h:1"}, b: {endpoints: "h:1"}}
outbound: {listen: "h:2"}
""").routes
    assert [route.cluster for route in routes] == ["a", "b"]
    assert routes[0].match.any[1].path == "/v2/models/a"


def test_a_route_says_otherwise_than_its_service() -> None:
    first, second, rest = listener("""
services:
  a: {endpoints: "h:1", timeout: 1s, retry: {max_attempts: 5}, cache: true}
outbound:
  listen: "h:2"
  routes:
  - {match: {prefix: /one}, retry: false, timeout: 0s, hedge: true}
  - {match: {prefix: /two}, retry: {max_attempts: 2}, transcode: false, strip_prefix: /two}
""").routes
    assert not first.HasField("retry")
    assert first.HasField("hedge")
    assert (first.timeout_ns, rest.timeout_ns) == (0, 10**9)
    assert first.HasField("cache")
    assert (second.retry.max_attempts, rest.retry.max_attempts) == (2, 5)
    assert second.forward.strip_prefix == "/two"


def test_requests_for_the_app_pass_as_they_are_unless_something_is_said() -> None:
    inner, rest = listener("""
services: {fraud: {endpoints: "h:1", timeout: 1s}}
inbound:
  listen: "h:2"
  app: "h:3"
  timeout: 5s
  concurrency: {limit: 8}
  routes: {match: {path: /score}, service: fraud}
""").routes
    assert (rest.cluster, rest.timeout_ns, rest.concurrency.limit) == ("app", 5 * 10**9, 8)
    assert rest.HasField("forward")
    assert not rest.HasField("retry")
    # Whom a route leads to says what holds for it.
    assert (inner.cluster, inner.timeout_ns) == ("fraud", 10**9)
    assert not inner.HasField("concurrency")


def test_several_listeners_have_apps_and_names_of_their_own() -> None:
    config = translated("""
inbound:
- {listen: "h:1", app: "h:2"}
- {name: admin, listen: "h:3", app: "h:4"}
""")
    assert [it.name for it in config.listeners] == ["inbound-1", "admin"]
    assert [it.name for it in config.clusters] == ["app-inbound-1", "app-admin"]
    assert [it.routes[0].cluster for it in config.listeners] == ["app-inbound-1", "app-admin"]


def test_what_is_captured() -> None:
    text = """
services: {{a: {{endpoints: "h:1"}}, b: {{endpoints: "h:1", capture: {of_b}}}}}
outbound: {{listen: "h:2", routes: [{{service: a}}, {{service: b}}]}}
{top}
"""
    top = "capture: {directory: d, sample: 50%}"

    def rates(of_b: str, top: str) -> list[float]:
        routes = listener(text.format(of_b=of_b, top=top)).routes
        return [route.capture.sample_rate if route.HasField("capture") else 0.0 for route in routes[:2]]

    assert rates("false", "") == [0, 0]
    assert rates("false", top) == [0.5, 0]
    assert rates("{sample: 10%}", top) == [0.5, 0.1]


@pytest.mark.parametrize(
    ("service", "tls", "speaks"),
    [
        ("", True, "transcode"),
        (", tls: off", False, "transcode"),
        (", tls: mutual", True, "transcode"),
        (", protocol: http1", True, "forward"),
        (", transcode: false", True, "forward"),
    ],
)
def test_services_are_spoken_to_by_identity_and_over_grpc(
    service: str, tls: bool, speaks: str, identity: Path
) -> None:
    config = translated(
        f"""
identity: {{directory: .}}
services: {{a: {{endpoints: "h:1"{service}}}}}
outbound: {{listen: "h:2"}}
""",
        identity,
    )
    assert config.clusters[0].HasField("tls") is tls
    assert config.listeners[0].routes[0].WhichOneof("action") == speaks
    assert config.listeners[0].tls == pb.LISTENER_TLS_UNSPECIFIED


@pytest.mark.parametrize(
    "names", [("tls.crt", "tls.key", "ca.crt"), ("svid.pem", "svid_key.pem", "svid_bundle.pem")]
)
def test_the_files_of_an_identity_are_found_by_name(names: tuple[str, str, str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    text = 'identity: {directory: ".", trust_domain: shop}\ninbound: {listen: "h:1", app: "h:2"}'
    config = translated(text, tmp_path)
    found = config.identity
    assert [found.certificate_file, found.key_file, found.authorities_file] == [
        str(tmp_path / it) for it in names
    ]
    assert found.trust_domain == "shop"
    assert config.listeners[0].tls == pb.LISTENER_TLS_MUTUAL


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "found no file, expected tls.crt"),
        (("tls.crt", "tls.key"), "ca.crt does not exist, expected PEM"),
    ],
)
def test_a_missing_file_is_named(files: tuple[str, ...], message: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).touch()
    text = 'identity: {directory: "."}\ninbound: {listen: "h:1", app: "h:2"}'
    with pytest.raises(ConfigurationError) as caught:
        translated(text, tmp_path)
    assert message in str(caught.value)


def test_a_default_may_be_null() -> None:
    text = """
services: {{a: {{endpoints: "h:1"}}}}
inbound: {{listen: "h:1", app: "h:2", enrich: {{model: m, inputs: {{x: {input}}}, outputs: {{y: header.y}}}}}}
"""

    def default(given: str) -> str:
        return listener(text.format(input=given)).routes[0].enrichments[0].inputs[0].default_json

    assert default("body.x") == ""
    assert default("{from: body.x, default: null}") == "null"
    assert default("{from: body.x, default: [1, a]}") == '[1, "a"]'


def test_durations_are_exact() -> None:
    assert timedelta(days=365) / timedelta(microseconds=1) * 1000 < 2**63
    text = 'inbound: {listen: "h:1", app: "h:2", timeout: 1us}'
    assert listener(text).routes[0].timeout_ns == 1000
