"""Where traces go, read from OpenTelemetry's environment variables.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infermesh.errors import ConfigurationError

_PREFIX = "OTEL_EXPORTER_OTLP_"
_DEFAULT_TIMEOUT_MS = 10_000
_HTTP_PATH = "/v1/traces"


class Protocol(StrEnum):
    """How the messages travel."""

    GRPC = "grpc"
    HTTP = "http/protobuf"


@dataclass(frozen=True)
class Destination:
    """A collector, and what it asks for."""

    protocol: Protocol
    #: With its path, where the protocol is HTTP.
    url: str
    headers: Mapping[str, str]
    timeout_seconds: float
    compress: bool
    #: Who signed the collector's certificate; None: whom the machine trusts.
    certificate: Path | None
    client_certificate: Path | None
    client_key: Path | None

    @classmethod
    def of(cls, environment: Mapping[str, str], url: str | None = None) -> "Destination":
        """Read the variables for traces, then the general ones; ``url`` takes precedence over both.

        Raises ConfigurationError, naming the variable, for a value that cannot be used.
        """

        def value(name: str) -> str | None:
            return environment.get(f"{_PREFIX}TRACES_{name}") or environment.get(_PREFIX + name) or None

        def file(name: str) -> Path | None:
            path = value(name)
            if path is not None and not Path(path).is_file():
                raise _wrong(name, path, "a file")
            return None if path is None else Path(path)

        protocol = _protocol(value("PROTOCOL"))
        compression = value("COMPRESSION") or "none"
        if compression not in ("none", "gzip"):
            raise _wrong("COMPRESSION", compression, "none or gzip")
        return cls(
            protocol=protocol,
            url=_checked(url or _endpoint(protocol, environment)),
            headers=_pairs("HEADERS", value("HEADERS") or ""),
            timeout_seconds=_milliseconds(value("TIMEOUT")) / 1000,
            compress=compression == "gzip",
            certificate=file("CERTIFICATE"),
            client_certificate=file("CLIENT_CERTIFICATE"),
            client_key=file("CLIENT_KEY"),
        )

    @property
    def is_secure(self) -> bool:
        """Whether it is reached through TLS."""
        return urlsplit(self.url).scheme == "https"


def is_named(environment: Mapping[str, str]) -> bool:
    """Return whether the environment names a collector for traces, and does not turn them off."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    return any(environment.get(f"{_PREFIX}{signal}ENDPOINT") for signal in ("TRACES_", ""))


def _protocol(name: str | None) -> Protocol:
    try:
        return Protocol(name or Protocol.HTTP)
    except ValueError:
        raise _wrong("PROTOCOL", str(name), " or ".join(Protocol)) from None


def _endpoint(protocol: Protocol, environment: Mapping[str, str]) -> str:
    if own := environment.get(f"{_PREFIX}TRACES_ENDPOINT"):
        return own
    general = environment.get(f"{_PREFIX}ENDPOINT")
    if protocol is Protocol.GRPC:
        return general or "http://localhost:4317"
    # The general one is the root of all signals' paths.
    return (general or "http://localhost:4318").rstrip("/") + _HTTP_PATH


def _checked(url: str) -> str:
    parts = urlsplit(url)
    try:
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ConfigurationError(
            f"the OTLP endpoint is {url!r}, expected a URL such as http://localhost:4318/v1/traces"
        )
    return url


def _milliseconds(text: str | None) -> float:
    if text is None:
        return _DEFAULT_TIMEOUT_MS
    if not text.isdecimal() or int(text) == 0:
        raise _wrong("TIMEOUT", text, "milliseconds from 1")
    return int(text)


def _pairs(name: str, text: str) -> dict[str, str]:
    found = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            raise _wrong(name, pair, "key=value")
        found[key.strip().lower()] = unquote(value.strip())
    return found


def _wrong(name: str, found: str, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{_PREFIX}{name}: found {found!r}, expected {expected}")
