"""A server and its canary on this machine: real ones, a real app, a real sidecar between them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import onnx_models
from support.echo_app import PROGRAM, ask
from support.repository import Repository
from support.sidecar import until
from support.up import Up

MESH = """
name: test
servers:
  fraud:
    models: models
    canary: {share: 0%, models: models-next}
apps:
  shop:
    run: python app.py
    enrich: {model: scale, inputs: {x: body.amount}, outputs: {y: body.score}, timeout: 10s}
"""

TENSORS = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [2.0]}]}


@contextmanager
def running(tmp_path: Path, share: str) -> Iterator[Up]:
    """The mesh, with a model that answers 6 and a next one that answers 10."""
    for folder, factor in (("models", 3.0), ("models-next", 5.0)):
        Repository.make(tmp_path / folder).onnx("scale", onnx_models.scale(factor, ("n", 1)))
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "mesh.yaml").write_text(MESH.replace("0%", share))
    with Up(tmp_path / "mesh.yaml") as found:
        found.wait_for("test is ready after")
        yield found


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """With a canary that takes nothing."""
    with running(tmp_path, "0%") as found:
        yield found


def scores(up: Up, count: int) -> list[float]:
    """What the app gets for orders of 2."""
    port = up.address("shop")
    answers = [ask(port, "/orders", {"amount": 2.0}) for _ in range(count)]
    assert {status for status, _ in answers} == {200}
    return [json.loads(said["body"])["score"] for _, said in answers]


def test_the_canary_takes_its_share(tmp_path: Path) -> None:
    with running(tmp_path, "30%") as up:
        found = scores(up, 200)
    assert set(found) == {6.0, 10.0}
    # Drawn by a sequence that is never off by four.
    assert abs(found.count(10.0) - 60) < 4


def test_all_of_it_is_possible(tmp_path: Path) -> None:
    with running(tmp_path, "100%") as up:
        assert set(scores(up, 20)) == {10.0}


def test_nobody_meets_a_canary_of_no_share_who_does_not_name_it(up: Up, tmp_path: Path) -> None:
    assert set(scores(up, 20)) == {6.0}
    assert answer(tmp_path) == 6.0
    assert answer(tmp_path, host="fraud") == 6.0
    assert answer(tmp_path, host="fraud-canary") == 10.0


def test_the_picture_has_both(up: Up, tmp_path: Path) -> None:
    page = int(up.wait_for("Live picture on http").rstrip("/").rpartition(":")[2])

    def edges() -> dict[str, Any]:
        # What came before somebody looked for the first time is not seen.
        answer(tmp_path, host="fraud-canary")
        _, said = ask(page, "/api/overview", method="GET")
        return {it["target"]: it["traffic"] for it in said["edges"] if it["source"] == "shop"}

    until(lambda: bool(edges().get("fraud-canary", {}).get("rate")))
    assert edges().keys() == {"fraud", "fraud-canary"}
    assert not edges()["fraud"]["rate"]


def test_what_would_run_is_said(tmp_path: Path) -> None:
    Repository.make(tmp_path / "models").onnx("scale", onnx_models.scale(3.0, ("n", 1)))
    (tmp_path / "mesh.yaml").write_text(MESH.replace("0%, models: models-next", "2.5%"))
    with Up(tmp_path / "mesh.yaml", "--check") as up:
        assert up.wait() == 0
    assert up.lines[1:] == [
        "  fraud: server, models scale, 2.5% of its requests to fraud-canary",
        "  fraud-canary: server, models scale",
        "  shop: app, calls fraud, fraud-canary",
    ]


def answer(folder: Path, host: str | None = None) -> float:
    """What the model makes of a request of the app's, as its sidecar takes it."""
    config = yaml.safe_load((folder / ".infermesh/test/instances/shop/sidecar.yaml").read_text())
    port = int(config["outbound"]["listen"].rpartition(":")[2])
    headers = {} if host is None else {"host": host}
    status, said = ask(port, "/v2/models/scale/infer", TENSORS, headers=headers)
    assert status == 200, said
    found: float = said["outputs"][0]["data"][0]
    return found
