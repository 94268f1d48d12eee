"""What a server says in its Prometheus metrics."""

from __future__ import annotations

import urllib.request


def read_metrics(port: int) -> str:
    """The text at /metrics of the server on this machine."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def first_samples(port: int) -> dict[str, float]:
    """Of each metric the first sample, whatever its labels."""
    found: dict[str, float] = {}
    for line in read_metrics(port).splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found.setdefault(name.partition("{")[0], float(value))
    return found
