"""A request through the native proxy, whose enrichment is computed by a function: the guide's example."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from infermesh_sidecar.hooks import Hooks, load_functions
from support.echo_app import ask, echoing
from support.native_proxy import Proxying, proxying
from support.scoring_server import Inputs, scoring

GUIDE = Path(__file__).parents[2] / "docs/guides/transform-functions.md"

#: Of the model in the guide.
INPUTS = {"amounts": ("FP32", [-1, 3]), "flags": ("BOOL", [-1, 2])}

ORDER = {"items": [{"price": 1}, {"price": 2.5}], "card": {"country": "XX"}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the guide says that sidecar.yaml and features.py lie."""
    (python,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    (tmp_path / "features.py").write_text(python)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("features", None)


def settings(app: int, server: int) -> str:
    """The guide's sidecar.yaml, with addresses of this test."""
    yaml: str
    (yaml,) = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    for known, port in ((8001, server), (15006, 0), (5000, app)):
        assert f"127.0.0.1:{known}" in yaml
        yaml = yaml.replace(f"127.0.0.1:{known}", f"127.0.0.1:{port}")
    # What the guide allows is for a machine that has nothing else to do.
    return yaml.replace("timeout: 100ms", "timeout: 20s")


@contextmanager
def shop(folder: Path, seen: list[Inputs], extra: str = "") -> Iterator[Proxying]:
    def score(inputs: Inputs) -> float:
        seen.append(inputs)
        return 0.5

    with echoing() as app, scoring(INPUTS, score) as server:
        text = settings(app, server.port) + extra
        with proxying(text) as running, Hooks(running.proxy, load_functions(["features:order"], folder)):
            yield running


def test_the_example_of_the_guide_scores_an_order(folder: Path) -> None:
    seen: list[Inputs] = []
    with shop(folder, seen) as running:
        status, said = ask(running.ports["inbound"], "/orders", ORDER, headers={"user-agent": "Bot/1"})
        assert (status, said["headers"]["x-risk"]) == (200, "0.5"), said
        (inputs,) = seen
        assert inputs["amounts"].tolist() == [[3.5, 2.5, 2.0]]
        assert inputs["flags"].tolist() == [[True, True]]
        # Only what the rule is for.
        assert "x-risk" not in ask(running.ports["inbound"], "/carts", ORDER)[1]["headers"]


def test_what_a_function_raises_lets_the_request_pass_without(folder: Path) -> None:
    with shop(folder, []) as running:
        status, said = ask(running.ports["inbound"], "/orders", {"items": [{"price": "cheap"}]})
        assert status == 200
        assert said["headers"]["x-infermesh-enrichment-failed"] == "fraud"
        ((_, _, action, message, _),) = running.proxy.take_log(20)
        assert action == "enrichment-failed"
        assert "the transform failed: TypeError: unsupported operand" in message
        assert "Traceback" not in message


def test_a_request_that_must_not_pass_without_is_refused(folder: Path) -> None:
    with shop(folder, [], extra="    on_failure: closed\n") as running:
        status, said = ask(running.ports["inbound"], "/orders", {"items": [{"price": "cheap"}]})
        assert status == 503
        assert "TypeError: unsupported operand" in said["error"]
