"""A real ``infermesh sidecar`` with what goes on beside its data plane: a function, and copies in files."""

from pathlib import Path

import pytest
from infermesh.capture.reader import read
from support.echo_app import ask, echoing
from support.scoring_server import Inputs, scoring
from support.sidecar import Sidecar, write_config

PLAIN = "def order(call):\n    return {'amounts': [sum(call.fields['prices'])]}\n"


@pytest.mark.parametrize("function", [PLAIN, f"async {PLAIN}"])
def test_an_order_is_scored_and_kept(tmp_path: Path, function: str) -> None:
    seen: list[Inputs] = []

    def score(inputs: Inputs) -> float:
        seen.append(inputs)
        return 0.25

    (tmp_path / "features.py").write_text(function)
    with echoing() as app, scoring({"amounts": ("FP32", [-1, 1])}, score) as server:
        enrich = {
            "model": "fraud",
            "transform": "features:order",
            "inputs": {"prices": "body.items[*].price"},
            "outputs": {"score": "header.x-risk"},
            "timeout": "20s",
        }
        config = write_config(
            tmp_path,
            services={"fraud": {"endpoints": [f"127.0.0.1:{server.port}"]}},
            inbound={"listen": "127.0.0.1:0", "app": f"127.0.0.1:{app}", "enrich": [enrich]},
            capture={"directory": "captures", "sample": "100%"},
        )
        sidecar = Sidecar("--config", config)
        try:
            order = {"items": [{"price": 1}, {"price": 2.5}]}
            status, said = ask(sidecar.port("inbound"), "/orders", order)
            assert (status, said["headers"]["x-risk"]) == (200, "0.25"), said
            sidecar.terminate()
            assert sidecar.wait() == 0
        finally:
            sidecar.kill()
    assert [inputs["amounts"].tolist() for inputs in seen] == [[[3.5]]]
    # As its sender wrote it: without the score.
    (kept,) = read(tmp_path / "captures")
    assert kept.record.request.data == b'{"items": [{"price": 1}, {"price": 2.5}]}'
    assert (kept.record.path, kept.record.http_status) == ("/orders", 200)
