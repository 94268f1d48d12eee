"""What an instance tells of itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from infermesh.overview import servers, sidecars
from infermesh.overview.exposition import Samples, read


@dataclass(frozen=True)
class Answer:
    """What an instance told."""

    #: Why it told nothing; None: it has answered.
    silence: str | None = None
    #: Why it wants no requests; None: it does.
    unready: str | None = None
    samples: Samples = field(default_factory=dict)
    #: Of a sidecar.
    endpoints: Sequence[sidecars.EndpointSeen] = ()
    routes: Sequence[sidecars.RouteSeen] = ()
    #: Of a server.
    models: Sequence[servers.ModelSeen] = ()

    @classmethod
    def of_sidecar(cls, stats: str, metrics: str) -> Self:
        """Of what `/stats` and `/metrics` tell.

        Raises ValueError, KeyError, TypeError or AttributeError for anything else.
        """
        told: Mapping[str, Any] = json.loads(stats)
        return cls(
            unready=None if told["ready"] else str(told["unready_because"]),
            samples=read(metrics, sidecars.NAMES),
            endpoints=[sidecars.EndpointSeen.of(it) for it in told["endpoints"]],
            routes=[sidecars.RouteSeen.of(it) for it in told["routes"]],
        )
