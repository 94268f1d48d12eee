"""docs/guides/python-models.md: what it shows is what happens."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.client import Client, floats, outputs, request
from support.server import LOOPBACK, Server, serving

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "python-models.md"

#: Its blocks, by the comment that each begins with.
BLOCKS = re.findall(r"```\w*\n# ([^\n]+)\n(.*?)```", GUIDE.read_text(), re.DOTALL)

MODELS = {"double", "shout", "scale", "count", "total", "average"}


def blocks(name: str) -> list[str]:
    found = [text for given, text in BLOCKS if given == name]
    assert found
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file that the guide shows."""
    folder = tmp_path_factory.mktemp("guide")
    for name, text in BLOCKS:
        if "/" in name:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """All of its models."""
    with serving(folder / "models", *LOOPBACK) as server:
        yield server


def test_every_model_is_served(server: Server) -> None:
    with Client(server.target) as client:
        assert {name for (name, _), (state, _) in client.index().items() if state == "READY"} == MODELS


@pytest.mark.parametrize("block", blocks("client"))
def test_clients_print_what_they_say(server: Server, block: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "127.0.0.1:8001" in block
    exec(compile(block.replace("127.0.0.1:8001", server.target), str(GUIDE), "exec"), {})
    (said,) = re.findall(r"print\(.*\)  # (.*)", block)
    assert capsys.readouterr().out.split("\n")[:-1] == re.findall(r"\[+[^\]]*\]+", said)


@pytest.mark.parametrize("block", blocks("test"))
def test_tests_pass(folder: Path, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    exec(compile(block, str(GUIDE), "exec"), {})


def test_what_it_says_of_shout_scale_and_average(server: Server) -> None:
    with Client(server.target) as client:
        loud = client.infer(request("shout", text=np.array([["grüß dich".encode()]], dtype=object)))
        assert outputs(loud)["loud"].tolist() == [["GRÜSS DICH".encode()]]
        assert outputs(client.infer(request("scale", x=floats(1, 3))))["y"].tolist() == [[0, 0.5, 1]]
        for number, average in ((2, 2), (4, 3), (9, 5)):
            message = request("average", x=floats(1, 1, start=number))
            message.parameters["sequence_id"].int64_param = 3
            message.parameters["sequence_start"].bool_param = number == 2
            assert outputs(client.infer(message))["average"].tolist() == [[average]]
