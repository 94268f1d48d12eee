"""Reads metrics in Prometheus' text format from a URL: those that were chosen, as plain numbers."""

from __future__ import annotations

import ipaddress
import math
import urllib.request
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from infermesh_perf.errors import RunError, SetupError

#: Name of a sample and its labels, sorted.
Series = tuple[str, tuple[tuple[str, str], ...]]

TIMEOUT_SECONDS = 5.0
#: An answer beyond this is refused: whoever gives it is no metrics endpoint.
MAX_BYTES = 64 << 20
SUFFIXES = ("_sum", "_count", "_bucket", "_total", "_created")
#: Types whose samples only ever grow.
GROWING = ("counter", "histogram", "summary")


@dataclass(frozen=True)
class Snapshot:
    """The chosen metrics at one moment; of a histogram its sum and count, in its own unit."""

    gauges: dict[Series, float] = field(default_factory=dict)
    counters: dict[Series, float] = field(default_factory=dict)


def endpoint(url: str) -> str:
    """A whole URL, `http` and `/metrics` where they are left out. Raises SetupError."""
    whole = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(whole)
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        port_is_one = False
    if not port_is_one or parts.scheme not in ("http", "https") or not parts.hostname:
        hint = "localhost:8002/metrics is that of infermesh and Triton"
        raise SetupError(f"--metrics-url: found {url!r}, expected http://HOST:PORT/PATH", hint)
    return whole if parts.path else f"{whole}/metrics"


def fetch(url: str, timeout: float = TIMEOUT_SECONDS) -> str:
    """The text at a whole URL. Raises RunError; a proxy of the environment is not asked for this machine."""
    host = urlsplit(url).hostname or ""
    handlers = [urllib.request.ProxyHandler({})] if _is_this_machine(host) else []
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=timeout) as answer:
            body: bytes = answer.read(MAX_BYTES + 1)
    except (OSError, HTTPException) as error:
        hint = "--metrics-url names the server's metrics endpoint, such as localhost:8002/metrics"
        raise RunError(f"metrics cannot be read from {url}: {error}", hint) from error
    if len(body) > MAX_BYTES:
        raise RunError(f"metrics cannot be read from {url}: the answer is larger than {MAX_BYTES >> 20} MiB")
    return body.decode(errors="replace")


def parse(text: str, names: Collection[str]) -> Snapshot:
    """The named metrics in a text. Raises RunError if it is not in Prometheus' format."""
    snapshot = Snapshot()
    try:
        for family in text_string_to_metric_families("\n".join(_chosen(text, names)) + "\n"):
            kept = snapshot.counters if family.type in GROWING else snapshot.gauges
            for sample in family.samples:
                # The parser calls counters as OpenMetrics does, whatever the server calls them.
                name = family.name if family.type == "counter" and family.name in names else sample.name
                if math.isfinite(sample.value):
                    kept[name, tuple(sorted(sample.labels.items()))] = sample.value
    except (ValueError, IndexError, KeyError) as error:
        raise RunError(f"metrics are not in Prometheus' text format: {error}") from error
    return snapshot


def shown(series: Series) -> str:
    """A series as Prometheus writes it."""
    name, labels = series
    inner = ",".join(f'{label}="{value}"' for label, value in labels)
    return f"{name}{{{inner}}}" if inner else name


def _chosen(text: str, names: Collection[str]) -> Iterator[str]:
    """The lines about the named metrics: a server of many models says far more than anybody asked for."""
    for line in text.splitlines():
        if line.startswith("# "):
            words = line.split(maxsplit=3)
            if len(words) > 2 and words[1] == "TYPE" and words[2] in names:
                yield line
        elif line and not line.startswith("#"):
            name = line.partition("{")[0].partition(" ")[0]
            if name in names or (_family(name) in names and not name.endswith("_bucket")):
                yield line


def _family(sample: str) -> str:
    for suffix in SUFFIXES:
        if sample.endswith(suffix):
            return sample.removesuffix(suffix)
    return sample


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
