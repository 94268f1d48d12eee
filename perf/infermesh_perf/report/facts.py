"""What a result was measured with, on what and how: names and texts."""

from __future__ import annotations

from dataclasses import dataclass

from infermesh_perf.report.format import flat, number
from infermesh_perf.results.document import Comparison, Run


@dataclass(frozen=True)
class Facts:
    """A titled list of names and texts."""

    title: str
    pairs: list[tuple[str, str]]


def shared(document: Run | Comparison) -> Facts:
    """Of the whole: when, how long, on what machine, with which tags."""
    pairs = [
        ("kind", document.kind),
        ("started", document.started.isoformat(" ", "seconds")),
        ("took", f"{number(document.seconds)} s"),
    ]
    if isinstance(document, Comparison):
        pairs.append(("order of the rounds", document.order))
    elif document.scenario:
        pairs.append(("scenario", document.scenario))
    tags = [(f"tag {name}", text) for name, text in document.tags.items()]
    return Facts("Run and environment", [*pairs, *tags, *flat(document.environment)])


def of_run(run: Run, side: str = "") -> Facts:
    """Of one side: what was measured."""
    target = run.target
    server = f"{target.server} {target.server_version}".strip()
    pairs = [
        ("address", target.url),
        ("protocol", f"{target.protocol}{' over TLS' if target.tls else ''}"),
        *([("server", server)] if server else []),
        *([("objective", run.objective)] if run.objective else []),
    ]
    return Facts(f"Target {side}".rstrip(), pairs)
