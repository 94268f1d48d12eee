"""Two proxies behind each other, as between two apps of a mesh: in plaintext, and with mutual TLS."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from infermesh_perf.bench.sidecar.identities import issue
from infermesh_perf.bench.sidecar.stage import Stage
from infermesh_perf.bench.sidecar.turns import Loads, take_turns
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Proxy
from infermesh_perf.peers.mutual import Mutual
from infermesh_perf.processes import Command, Running, serving

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

        def start(command: Command) -> Running:
            return stack.enter_context(serving(command))

        def start_pair(proxy: Proxy, how: str) -> Running:
            tls = how == MUTUAL
            inward = Mutual(identities[SERVER], "callers") if tls else None
            outward = Mutual(identities[CALLER], "upstream") if tls else None
            second = start(proxy.before(f"{how}-{SERVER}", port, model.name, mutual=inward).command)
            return start(proxy.before(f"{how}-{CALLER}", second.port, model.name, mutual=outward).command)

        port = start(stage.triton.command(model, onnx)).port
        ways = {
            pair(proxy.name, how): start_pair(proxy, how)
            for proxy in stage.proxies
            for how in (PLAINTEXT, MUTUAL)
        }
        return take_turns(stage, model, onnx, ways, {streams: list(ways) for streams in stage.plan.streams})
