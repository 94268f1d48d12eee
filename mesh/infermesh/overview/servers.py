"""Models, of what servers tell."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from infermesh.overview.increases import STARTED, Grown
from infermesh.overview.quantiles import Buckets, merged
from infermesh.overview.traffic import Part, milliseconds
from infermesh.overview.view import Batches

_SUCCEEDED = "nv_inference_request_success"
_FAILED = "nv_inference_request_failure"
_DURATION = "infermesh_request_duration_seconds"
_QUEUE = "infermesh_queue_duration_seconds"
_ROWS = "infermesh_batch_rows"
_PENDING = "nv_inference_pending_request_count"

#: What is read of a server's metrics.
NAMES = frozenset(
    {
        _SUCCEEDED,
        _FAILED,
        _PENDING,
        f"{_DURATION}_bucket",
        f"{_QUEUE}_sum",
        f"{_QUEUE}_count",
        f"{_ROWS}_bucket",
        STARTED,
    }
)

#: Its client went away.
_CANCELED = "CANCELED"

UNKNOWN = "UNKNOWN"
READY = "READY"


@dataclass(frozen=True)
class ModelSeen:
    """A version of a model, as one server's index has it."""

    name: str
    version: str
    state: str
    reason: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As the index has it. Raises KeyError or AttributeError for anything else."""
        name, version = str(told["name"]), str(told.get("version", ""))
        return cls(name, version, str(told.get("state") or UNKNOWN), str(told.get("reason", "")))


def part(grown: Grown, model: str, version: str) -> Part:
    """What came to a version of a model; what was given up counts as nothing."""
    labels = {"model": model, "version": version}
    succeeded = grown.total(_SUCCEEDED, **labels)
    failures = sum(
        count for found, count in grown.matching(_FAILED, labels) if found.get("reason") != _CANCELED
    )
    return Part(grown, succeeded + failures, failures, grown.histogram(_DURATION, **labels))


def queue_ms(told: Sequence[Grown], model: str, version: str) -> float | None:
    """What a request waited on average."""
    labels = {"model": model, "version": version}
    count = sum(grown.total(f"{_QUEUE}_count", **labels) for grown in told)
    waited = sum(grown.total(f"{_QUEUE}_sum", **labels) for grown in told)
    return milliseconds(waited / count) if count else None


def pending(samples: Sequence[Mapping[Any, float]], model: str, version: str) -> int:
    """Requests that wait."""
    series = (_PENDING, (("model", model), ("version", version)))
    return int(sum(of_instance.get(series, 0) for of_instance in samples))


def batches(told: Sequence[Grown], model: str, version: str) -> Sequence[Batches]:
    """How large batches were, up to the largest."""
    found: Buckets = merged(grown.histogram(_ROWS, model=model, version=version) for grown in told)
    sizes = []
    below = 0.0
    whole = max(found.values(), default=0.0)
    for bound, count in sorted(found.items()):
        if below >= whole:
            break
        sizes.append(Batches(None if math.isinf(bound) else bound, count - below))
        below = count
    return sizes


def state(seen: Sequence[ModelSeen | None]) -> tuple[str, str]:
    """State and reason over all instances; None: one that has it not."""
    states = [it.state if it else UNKNOWN for it in seen]
    reason = next((it.reason for it in seen if it and it.reason), "")
    if len(set(states)) == 1:
        return states[0], reason
    return f"{READY} on {states.count(READY)} of {len(states)}", reason
