"""A workload that needs no other distribution."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from infermesh.description.place import Place
from infermesh.description.placement import Placement
from infermesh.description.workload import Container, Port, Probe, Workload

Make = Callable[..., Workload]


@dataclass(frozen=True, kw_only=True)
class Plain(Workload):
    """A main container, and a sidecar if there is to be one."""

    graces: Sequence[timedelta]

    def containers(self, _place: Place) -> Sequence[Container]:
        return [
            Container(
                name=f"c{index}",
                image="registry.example/it:1",
                command=(),
                is_ours=False,
                ready=Probe("http", "/ready"),
                is_sidecar=index > 0,
                grace=grace,
                ports=["http"] if index == 0 else [],
            )
            for index, grace in enumerate(self.graces)
        ]


@pytest.fixture
def make() -> Make:
    """Makes one."""

    def it(*seconds: float, ports: Sequence[Port] = (), placement: Placement | None = None) -> Workload:
        return Plain(
            name="it",
            kind="app",
            placement=placement or Placement(),
            ports=ports or [Port("http", 8000, "http", "operators")],
            graces=[timedelta(seconds=it) for it in seconds or (30,)],
        )

    return it
