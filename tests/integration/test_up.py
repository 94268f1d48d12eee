"""A mesh on this machine: real servers, a real app, real sidecars."""

import json
import os
import select
import signal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from support import onnx_models
from support.echo_app import PROGRAM, ask
from support.repository import Repository
from support.sidecar import until
from support.up import Up

MESH = """
    name: {name}
    models: models
    apps:
      shop:
        run: python app.py
        enrich: {{model: scale, inputs: {{x: body.amount}}, outputs: {{y: body.score}}, timeout: 10s}}
    environments:
      large:
        servers: {{models: {{models: models, placement: {{replicas: 3}}}}}}
        models: []
        apps: {{shop: {{placement: {{replicas: 2}}}}}}
"""


def mesh(folder: Path, name: str = "test", text: str = MESH) -> Path:
    folder.mkdir(exist_ok=True)
    Repository.make(folder / "models").onnx("scale", onnx_models.scale(3.0, ("n", 1)))
    (folder / "app.py").write_text(PROGRAM)
    file = folder / "mesh.yaml"
    file.write_text(dedent(text).format(name=name))
    return file


def scored(port: int) -> object:
    status, said = ask(port, "/orders", {"amount": 2.0})
    assert status == 200, said
    return json.loads(said["body"])


def test_an_app_gets_its_score_and_everything_drains(tmp_path: Path) -> None:
    with Up(mesh(tmp_path)) as up:
        up.wait_for("test is ready after")
        assert scored(up.address("shop")) == {"amount": 2.0, "score": 6.0}
        up.signal(signal.SIGINT)
        assert up.wait() == 0, up.lines
    assert not up.errors
    ended = [line for line in up.lines if "every accepted request was answered" in line]
    # Who calls others first.
    assert [line.split()[0] for line in ended] == ["shop/sidecar", "models"]


def test_a_page_shows_what_goes_on(tmp_path: Path) -> None:
    with Up(mesh(tmp_path)) as up:
        page = int(up.wait_for("Live picture on http").rstrip("/").rpartition(":")[2])
        up.wait_for("test is ready after")
        until(lambda: states(page) == {"models": "ready", "shop": "ready"})
        for _ in range(20):
            scored(up.address("shop"))
        until(lambda: all(it["traffic"]["rate"] for it in overview(page)["edges"]))
        found = {(it["source"], it["target"]): it["traffic"] for it in overview(page)["edges"]}
        assert found.keys() == {("*", "shop"), ("shop", "models")}
        assert [it["success"] for it in found.values()] == [1.0, 1.0]

        (server,) = [pid for pid, command in up.children().items() if "serve" in command]
        os.kill(server, signal.SIGKILL)
        until(lambda: overview(page)["totals"]["restarts"] == 1)
        until(lambda: states(page)["models"] == "ready")


def test_there_need_be_no_page(tmp_path: Path) -> None:
    with Up(mesh(tmp_path), "--no-page") as up:
        up.wait_for("test is ready after")
        assert not any("Live picture" in line for line in up.lines)


def overview(page: int) -> Any:
    status, said = ask(page, "/api/overview", method="GET")
    assert status == 200
    return said


def states(page: int) -> dict[str, str]:
    instances = [it for workload in overview(page)["workloads"] for it in workload["instances"]]
    return {it["name"]: it["state"] for it in instances}


def test_what_is_killed_is_started_again(tmp_path: Path) -> None:
    with Up(mesh(tmp_path)) as up:
        up.wait_for("test is ready after")
        port = up.address("shop")
        for pid in up.children():
            os.kill(pid, signal.SIGKILL)
        up.wait_for("ended by itself (SIGKILL)", 3)
        up.wait_for("Ready on", 2)
        up.wait_for("│ Ready", 4)
        assert scored(port) == {"amount": 2.0, "score": 6.0}
        up.signal(signal.SIGTERM)
        assert up.wait() == 0


def test_two_meshes_run_side_by_side(tmp_path: Path) -> None:
    with Up(mesh(tmp_path / "a")) as one, Up(mesh(tmp_path / "b")) as other:
        for up in (one, other):
            up.wait_for("test is ready after")
        for up in (one, other):
            assert scored(up.address("shop")) == {"amount": 2.0, "score": 6.0}


def test_an_environment_has_more_of_them(tmp_path: Path) -> None:
    with Up(mesh(tmp_path), "--environment", "large") as up:
        up.wait_for("test is ready after")
        for name in ("shop-1", "shop-2"):
            assert scored(up.address(name)) == {"amount": 2.0, "score": 6.0}
        assert sum("serve" in command for command in up.children().values()) == 3


def test_one_that_runs_is_not_run_twice(tmp_path: Path) -> None:
    file = mesh(tmp_path)
    with Up(file) as up:
        up.wait_for("test is ready after")
        with Up(file) as second:
            assert second.wait() == 2
        assert f"the mesh 'test' runs already, as process {up.pid}" in second.errors[0]


def test_whoever_leaves_it_alone_leaves_nobody(tmp_path: Path) -> None:
    with Up(mesh(tmp_path)) as up:
        up.wait_for("test is ready after")
        descriptors = [os.pidfd_open(pid) for pid in up.children()]
        up.signal(signal.SIGKILL)
        up.wait()
        for descriptor in descriptors:
            assert select.select([descriptor], [], [], 30)[0], "one is still there"
            os.close(descriptor)


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("models: nowhere", 2, "mesh.yaml:1: models: found nothing of this name"),
        ("models: models\napps: {{shop: {{run: 'python nothing.py'}}}}", 1, "can't open file"),
        ("models: models\napps: {{shop: {{run: ./nothing}}}}", 1, "cannot run ./nothing: No such file"),
        ("models: models\nservers: {{s: {{models: models, arguments: [--colour, red]}}}}", 1, "--colour"),
    ],
)
def test_what_cannot_run_is_named(tmp_path: Path, text: str, code: int, expected: str) -> None:
    with Up(mesh(tmp_path, text=text)) as up:
        assert up.wait() == code, up.errors
    assert expected in "\n".join(up.errors)
    if code == 2:
        assert not (tmp_path / ".infermesh").exists()


def test_check_starts_nothing(tmp_path: Path) -> None:
    with Up(mesh(tmp_path), "--check") as up:
        assert up.wait() == 0
    assert [line.strip() for line in up.lines[1:]] == [
        "models: server, models scale",
        "shop: app, calls models",
    ]
    assert not (tmp_path / ".infermesh").exists()
