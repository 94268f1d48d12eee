"""What every part of this benchmark is given: who takes part, how long, and what is told meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from infermesh_perf.bench.measure import Plan, Step
from infermesh_perf.models import Model
from infermesh_perf.peers import Envoy, Infermesh, Proxy, Sidecar, Triton


@dataclass(frozen=True)
class Stage:
    """`root` is the repository's; `step` is told what comes next; `crashes` counts by who has crashed."""

    root: Path
    plan: Plan
    step: Step
    crashes: dict[str, int] = field(default_factory=dict)

    @property
    def triton(self) -> Triton:
        """The server that both proxies stand before."""
        return Triton(self.root)

    @property
    def infermesh(self) -> Infermesh:
        """The server that belongs to the sidecar."""
        return Infermesh(self.root)

    @property
    def envoy(self) -> Envoy:
        """What the sidecar is measured by."""
        return Envoy(self.root)

    @property
    def sidecar(self) -> Sidecar:
        """The subject."""
        return Sidecar(self.root)

    @property
    def proxies(self) -> tuple[Proxy, Proxy]:
        """In the order of their turns."""
        return self.envoy, self.sidecar

    def install(self) -> None:
        """Brings what is missing; returns at once if nothing is. Raises SetupError."""
        for part in (self.triton, self.infermesh, self.envoy):
            part.install()

    def save(self, model: Model) -> Path:
        """The model's file."""
        return model.save(self.root / ".peers" / "models")
