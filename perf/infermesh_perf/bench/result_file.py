"""Result files: what each says about the run that it comes from, and where it lies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from infermesh_perf import machine
from infermesh_perf.bench import h2load

SCHEMA = 1


class Versioned(Protocol):
    """What runs in a benchmark."""

    name: str

    def versions(self) -> dict[str, str]:
        """Of what it consists, by package name."""


def begin(options: Mapping[str, Any], versions: Mapping[str, Any]) -> dict[str, Any]:
    """What every result says first: the moment, as ISO 8601, and how, on what and with what it is taken."""
    return {
        "schema": SCHEMA,
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": dict(options),
        "machine": machine.describe(),
        "versions": versions,
    }


def versions(tool: str, peers: Sequence[Versioned]) -> dict[str, dict[str, str]]:
    """Of h2load, of what checks the answers, and of the peers, which are installed."""
    return {
        "client": {"h2load": h2load.version(tool)},
        "benchmark": machine.own_versions(),
        **{peer.name: peer.versions() for peer in peers},
    }


def save(result: Mapping[str, Any], what: str, root: Path, out: Path | None) -> Path:
    """Writes a result that has begun with `begin` as indented JSON, making the directory; returns its path.

    Without `out` that is `perf/results/WHAT-DATE-KIND.json` below the root of the repository.
    """
    if out is None:
        day, _, _ = result["taken"].partition("T")
        out = root / "perf" / "results" / f"{what}-{day}-{machine.kind(result['machine'])}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    return out
