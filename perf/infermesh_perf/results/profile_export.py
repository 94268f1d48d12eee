"""Requests one by one, in the form of perf_analyzer's `--profile-export-file`, for tools that read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.results.document import Run
from infermesh_perf.results.files import write_text

#: The position of the level, when its generator started (nanoseconds since 1970), the record.
Exported = tuple[int, int, load_pb2.RequestRecord]


def save(document: Run, records: Sequence[Exported], path: Path) -> None:
    """Writes every request that was described. Raises SetupError if the file cannot be written.

    Timestamps are nanoseconds since 1970. Beside perf_analyzer's fields a request has `due`, from which its
    latency counts, and `error` if it failed.
    """
    experiments = [
        {
            "experiment": {"mode": _mode(level.load.mode), "value": level.load.value},
            "requests": [_request(start, record) for at, start, record in records if at == position],
            "window_boundaries": [],
        }
        for position, level in enumerate(document.levels)
    ]
    whole = {
        "experiments": experiments,
        "version": f"infermesh-perf {version('infermesh-perf')}",
        "service_kind": "triton",
        "endpoint": document.target.url,
    }
    write_text(path, json.dumps(whole))


def _mode(mode: str) -> str:
    return "concurrency" if mode == "concurrency" else "request_rate"


def _request(start: int, record: load_pb2.RequestRecord) -> dict[str, Any]:
    due = start + record.due_ns
    sent = due + record.lag_ns
    answers = [due + moment for moment in record.response_ns] or [sent + record.service_ns]
    request: dict[str, Any] = {"timestamp": sent, "response_timestamps": answers, "due": due}
    if record.error:
        request |= {"error": record.error, "success": False}
    return request
