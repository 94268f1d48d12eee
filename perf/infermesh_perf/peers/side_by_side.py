"""Starts several peers with the same model, each as it serves best, and an Envoy before each if wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.models import Model
from infermesh_perf.peers.base import Installable, Peer
from infermesh_perf.peers.envoy import Envoy
from infermesh_perf.processes import Command, Running, serving
from infermesh_perf.rpc import check_answer


@dataclass(frozen=True)
class Place:
    """Where one of them is found."""

    name: str
    address: str
    #: Where it tells its metrics; empty if it does not.
    metrics_url: str
    log: Path
    has_ended: Callable[[], bool]


def check_set_up(parts: Iterable[Installable]) -> None:
    """Raises SetupError for the first that is not."""
    for part in parts:
        if (what := part.missing()) is not None:
            raise SetupError(what)


@contextmanager
def side_by_side(
    peers: Sequence[Peer], model: Model, onnx: Path, envoy: Envoy | None, say: Callable[[str], None]
) -> Iterator[list[Place]]:
    """Runs them on loopback for as long as the block lasts; they end in the opposite order.

    Each must answer as ONNX Runtime does. `say` is told what is being done. Raises RunError if one does not
    come up.
    """
    with ExitStack() as stack:
        places = []
        for peer in peers:
            say(f"starting {peer.name}")
            command = peer.command(model, onnx)
            server = stack.enter_context(serving(command))
            check_answer(server.port, model, onnx, 1)
            places.append(_place(peer.name, server, command))
            if envoy is not None:
                name = f"{envoy.name}-{peer.name}"
                say(f"starting {name}")
                front = envoy.before(peer.name, server.port, model.name)
                proxy = stack.enter_context(serving(front.command))
                places.append(_place(name, proxy, front.command, front.metrics_url))
        yield places


def wait_for_the_first_end(places: Sequence[Place]) -> NoReturn:
    """Raises RunError when one of them has ended by itself, which may be never."""
    while True:
        for place in places:
            if place.has_ended():
                raise RunError(f"{place.name} ended by itself", f"its log is {place.log}")


def _place(name: str, server: Running, command: Command, metrics_url: str = "") -> Place:
    return Place(name, f"127.0.0.1:{server.port}", metrics_url, command.log, server.has_ended)
