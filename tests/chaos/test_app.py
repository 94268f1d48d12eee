"""The app behind an inbound proxy is dead or slow: callers are told in time, and served once it is back."""

import http.client
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from infermesh.proto.infermesh_proxy_v1 import proxy_pb2 as pb
from support.process import Process
from support.proxy import Proxy, listener, nanos, proxying, upstream
from support.rest import Rest

SCRIPT = Path(__file__).parents[1] / "support" / "run_app.py"

#: What the route gives the app, and what passes until a caller knows: a test shares its machine.
BUDGET_SECONDS, PATIENCE_SECONDS = 0.5, 2.0


class App:
    """It keeps its port over its lives."""

    def __init__(self, port: int = 0) -> None:
        self.process = Process([sys.executable, SCRIPT, str(port)])
        self.port = int(self.process.wait_for("app-ready")["server.port"])

    def restart(self) -> None:
        """Begin a new life."""
        self.__init__(self.port)  # type: ignore[misc]


@pytest.fixture
def app() -> Iterator[App]:
    app = App()
    yield app
    app.process.kill()


@pytest.fixture
def proxy(app: App, tmp_path: Path) -> Iterator[Proxy]:
    """Without retries: there is one app."""
    inbound = listener("inbound", pb.Route(timeout_ns=nanos(BUDGET_SECONDS)))
    inbound.direction = pb.DIRECTION_INBOUND
    config = pb.ProxyConfig(
        name="shop", listeners=[inbound], clusters=[upstream([app.port], pb.Cluster(name="app"))]
    )
    for route in config.listeners[0].routes:
        route.cluster = "app"
    with proxying(config, tmp_path) as proxy:
        yield proxy


@contextmanager
def within(least: float, most: float) -> Iterator[None]:
    """The block takes so many seconds."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert least <= took <= most, took


def is_back(caller: Rest) -> None:
    assert caller.get("/").body == b"here"
    assert caller.post("/orders", {"amount": 7}).json == {"amount": 7}


def test_a_dead_app(app: App, proxy: Proxy) -> None:
    with Rest(proxy.port("inbound")) as caller:
        is_back(caller)
        app.process.kill()
        with within(0.0, PATIENCE_SECONDS):
            answers = [caller.get("/"), caller.post("/orders", {"amount": 7})]
        for answer in answers:
            assert answer.status == 503
            assert "'app' did not answer" in answer.error
            assert f"cannot connect to 127.0.0.1:{app.port}: Connection refused" in answer.error
        app.restart()
        is_back(caller)


def test_a_frozen_app(app: App, proxy: Proxy) -> None:
    with Rest(proxy.port("inbound")) as caller:
        is_back(caller)
        app.process.freeze()
        with within(BUDGET_SECONDS, PATIENCE_SECONDS):
            answer = caller.get("/")
        assert answer.status == 504
        assert answer.error == "Deadline Exceeded"
        app.process.thaw()
        is_back(caller)


def test_a_slow_answer_holds_nobody_else_up(proxy: Proxy) -> None:
    port = proxy.port("inbound")

    def slow(_: int) -> tuple[int, str]:
        with Rest(port) as caller, within(BUDGET_SECONDS, PATIENCE_SECONDS):
            answer = caller.get("/slow")
        return answer.status, answer.error

    with ThreadPoolExecutor(8) as others, Rest(port) as caller:
        waiting = [others.submit(slow, index) for index in range(8)]
        with within(0.0, BUDGET_SECONDS):
            is_back(caller)
        assert [it.result() for it in waiting] == [(504, "Deadline Exceeded")] * 8


@pytest.mark.parametrize(
    ("path", "least"), [("/endless", BUDGET_SECONDS), ("/broken", 0.0)], ids=["endless", "broken off"]
)
def test_an_answer_without_its_end_has_none_for_the_caller(proxy: Proxy, path: str, least: float) -> None:
    with Rest(proxy.port("inbound")) as caller:
        caller.send("GET", path)
        with (
            within(least, PATIENCE_SECONDS),
            pytest.raises((http.client.IncompleteRead, ConnectionResetError)),
        ):
            caller.answer()
    # Its connection is no use to anybody; the next is.
    with Rest(proxy.port("inbound")) as caller:
        is_back(caller)


def test_an_app_that_dies_while_it_works(app: App, proxy: Proxy) -> None:
    with Rest(proxy.port("inbound")) as caller:
        caller.send("GET", "/slow")
        app.process.wait_for("app-asked")
        app.process.kill()
        answer = caller.answer()
        assert answer.status == 503
        assert f"'app' did not answer: 127.0.0.1:{app.port}: " in answer.error
        app.restart()
        is_back(caller)
