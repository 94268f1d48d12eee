"""Requests one by one, in the form of perf_analyzer's `--profile-export-file`, for tools that read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.results.document import Load, Run
from infermesh_perf.results.files import write_text


@dataclass(frozen=True)
class Experiment:
    """The requests of one load, and when its generator started, nanoseconds since 1970."""

    load: Load
    started_unix_ns: int
    records: Sequence[load_pb2.RequestRecord]


def save(document: Run, experiments: Sequence[Experiment], path: Path) -> None:
    """Writes every request that was described, in the order in which loads were measured.

    Timestamps are nanoseconds since 1970. Beside perf_analyzer's fields a request has `due`, from which its
    latency counts, and `error` if it failed. Raises SetupError if the file cannot be written.
    """
    whole = {
        "experiments": [_experiment(each) for each in experiments],
        "version": f"infermesh-perf {version('infermesh-perf')}",
        "service_kind": "triton",
        "endpoint": document.target.url,
    }
    write_text(path, json.dumps(whole))


def _experiment(experiment: Experiment) -> dict[str, Any]:
    mode = "concurrency" if experiment.load.mode == "concurrency" else "request_rate"
    return {
        "experiment": {"mode": mode, "value": experiment.load.value},
        "requests": [_request(experiment.started_unix_ns, record) for record in experiment.records],
        "window_boundaries": [],
    }


def _request(start: int, record: load_pb2.RequestRecord) -> dict[str, Any]:
    due = start + record.due_ns
    sent = due + record.lag_ns
    answers = [due + moment for moment in record.response_ns] or [sent + record.service_ns]
    request: dict[str, Any] = {"timestamp": sent, "response_timestamps": answers, "due": due}
    if record.error:
        request |= {"error": record.error, "success": False}
    return request
