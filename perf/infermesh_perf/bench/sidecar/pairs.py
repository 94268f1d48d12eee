"""Two proxies behind each other, as between two apps of a mesh: in plaintext, and with mutual TLS."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from infermesh_perf.bench.servers import Servers
from infermesh_perf.bench.sidecar.identities import issue
from infermesh_perf.bench.sidecar.stage import Stage
from infermesh_perf.bench.sidecar.turns import Loads, take_turns
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Proxy, Triton
from infermesh_perf.peers.mutual import Mutual

PLAINTEXT, MUTUAL = "plaintext", "mTLS"
#: The first of a pair, and the second.
CALLER, SERVER = "caller", "server"


def pair(proxy: str, how: str) -> str:
    """What the way through two of a kind is called."""
    return f"two of {proxy}, {how}"


def measure(stage: Stage) -> Loads:
    """All rounds of both pairs of each kind before Triton; the client and Triton speak plaintext to them.

    Raises RunError when something does not come up, answers wrongly, or a run fails, and when a proxy that is
    told to have TLS answers without.
    """
    model = MODELS["perceptron"]
    onnx = stage.save(model)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        identities = issue(folder, CALLER, SERVER)

        triton = stage.triton.command(model, onnx)
        commands, ways = {Triton.name: triton}, []

        def add(proxy: Proxy, how: str) -> None:
            tls = how == MUTUAL
            inward = Mutual(identities[SERVER], "callers") if tls else None
            outward = Mutual(identities[CALLER], "upstream") if tls else None
            second = proxy.before(f"{how}-{SERVER}", triton.grpc_port, model.name, mutual=inward).command
            first = proxy.before(f"{how}-{CALLER}", second.grpc_port, model.name, mutual=outward).command
            way = pair(proxy.name, how)
            commands.update({f"{way}, {SERVER}": second, way: first})
            ways.append(way)

        for proxy in stage.proxies:
            for how in (PLAINTEXT, MUTUAL):
                add(proxy, how)
        servers = Servers(stack, commands, stage.crashes)
        return take_turns(stage, model, onnx, servers, dict.fromkeys(stage.plan.streams, ways))
