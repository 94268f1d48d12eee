"""The sidecar that the benchmarks start, and what tells whether it has the TLS that it was told to have."""

from dataclasses import replace
from pathlib import Path

import pytest
from infermesh_perf.bench.sidecar.identities import issue
from infermesh_perf.errors import RunError
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Envoy, Infermesh, Proxy, Sidecar
from infermesh_perf.peers.mutual import Mutual
from infermesh_perf.processes import Command, serving
from infermesh_perf.rpc import Client, check_answer

MODEL = MODELS["perceptron"]


@pytest.fixture(params=[Sidecar, Envoy])
def proxy(root: Path, request: pytest.FixtureRequest) -> Proxy:
    found: Sidecar | Envoy = request.param(root)
    if isinstance(found, Envoy) and (why := found.missing()) is not None:
        pytest.skip(why)
    return found


@pytest.fixture
def onnx(root: Path) -> Path:
    return MODEL.save(root)


@pytest.fixture
def server(root: Path, onnx: Path) -> Command:
    return Infermesh(root).command(MODEL, onnx)


def test_before_a_real_server(root: Path, onnx: Path, server: Command) -> None:
    with (
        serving(server) as running,
        serving(Sidecar(root).before("test", running.port, MODEL.name, threads=1).command) as front,
    ):
        check_answer(front.port, MODEL, onnx, rows=3)
        with Client(running.port) as direct:
            # The request went through to the server, and did not end in the proxy.
            assert direct.statistics(MODEL.name).inference_stats.success.count == 1


def test_a_pair_with_mutual_tls(root: Path, onnx: Path, server: Command, proxy: Proxy) -> None:
    ours, theirs = (issue(root / name, "caller", "server") for name in ("ours", "theirs"))
    with serving(server) as running:
        second = proxy.before(
            "second", running.port, MODEL.name, mutual=Mutual(ours["server"], "callers")
        ).command
        # That this comes up says that it answers an identity, and nobody without TLS.
        with serving(second) as inner:
            first = proxy.before(
                "first", inner.port, MODEL.name, mutual=Mutual(ours["caller"], "upstream")
            ).command
            with serving(first) as outer:
                check_answer(outer.port, MODEL, onnx, rows=1)
            with Client(inner.port, identity=theirs["caller"]) as stranger:
                assert not stranger.ready(MODEL.name, timeout=2)


def test_who_was_told_to_have_tls_and_answers_without(root: Path, server: Command) -> None:
    identities = issue(root / "identities", "anybody")
    with (
        pytest.raises(RunError, match="answers in plaintext, expected nothing but mutual TLS"),
        serving(replace(server, identity=identities["anybody"])),
    ):
        pass
