"""The whole story with real processes."""

import http.client
import io
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from checkout.story import MESH, Ports, run
from infermesh_perf.processes import free_ports
from rich.console import Console

ORDERS = 120


@pytest.fixture
def folder(repository: Path, tmp_path: Path) -> Path:
    shutil.copytree(repository, tmp_path / "models")
    return tmp_path


@pytest.fixture
def ports() -> Ports:
    return Ports(*free_ports(2))


@pytest.fixture
def shown() -> io.StringIO:
    """What somebody who runs it reads."""
    return io.StringIO()


@pytest.fixture
def console(shown: io.StringIO) -> Console:
    return Console(file=shown, width=120)


def test_alone_the_shop_lets_every_fraud_through(
    folder: Path, ports: Ports, console: Console, shown: io.StringIO
) -> None:
    pages = []

    def look(port: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.request("GET", "/")
            pages.append(connection.getresponse().read().decode())

    assert run(folder, ORDERS, console, ports=ports, afterwards=look) == []
    said = shown.getvalue()
    assert "AUC 0.9" in said
    assert "The shop alone" in said
    assert "With the sidecar" not in said
    assert f"All {ORDERS}</a>" in pages[0]
    assert "Held 0</a>" in pages[0]
    assert (folder / "checkout.html").read_text().count("<figure") == 1


def test_with_a_sidecar_the_same_shop_holds_fraud(
    folder: Path, ports: Ports, console: Console, shown: io.StringIO
) -> None:
    assert run(folder, ORDERS, console, mesh=MESH, ports=ports) == []
    rows = {line[:26].strip(): line.split()[-1] for line in shown.getvalue().splitlines() if line}
    assert rows["Orders with a score"] == str(ORDERS)
    assert int(rows["Orders held"]) > 0
    assert (folder / "checkout.html").read_text().count("<figure") == 2


def test_a_sidecar_that_gives_no_score_fails_the_story(folder: Path, ports: Ports, console: Console) -> None:
    mute = folder / "mute.yaml"
    mute.write_text(MESH.read_text().replace("path: /orders", "path: /elsewhere"))
    problems = run(folder, ORDERS, console, mesh=mute, ports=ports)
    assert problems == [
        f"With the sidecar: only 0 of {ORDERS} orders had a score",
        "With the sidecar: no fraud was held",
    ]
