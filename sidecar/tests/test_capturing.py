"""What is kept of requests and answers reaches files, whatever the disk does, and all of it at the end."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from infermesh.capture.files import CaptureError
from infermesh.capture.reader import read
from infermesh.capture.writer import CaptureWriter, Rotation
from infermesh.proto.inference.grpc_service_pb2_grpc import GRPCInferenceServiceStub
from infermesh_sidecar.capturing import Capturing
from support.client import ints, request
from support.echo_app import ask, echoing
from support.native_proxy import proxying
from support.recording_server import recording

SECONDS = 20.0


class FakeProxy:
    """See ``infermesh_native.Proxy``."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._flushing = False

    def keep(self, *records: bytes) -> None:
        self._waiting.put(list(records))

    def take_captures(self, timeout: float) -> list[bytes]:
        try:
            return self._waiting.get(timeout=0 if self._flushing else timeout)
        except queue.Empty:
            return []

    def flush_captures(self) -> None:
        self._flushing = True
        self._waiting.put([])


class FakeWriter:
    """See ``CaptureWriter``; it may fail."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.refused = 0
        self.broken = False
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def write(self, batch: Any) -> None:
        assert self.gate.wait(SECONDS)
        if self.broken and batch:
            self.refused += 1
            raise CaptureError("/captures: captures cannot be written: No space left on device")
        self.written += batch

    def close(self) -> None:
        self.closed = True


def capturing(proxy: FakeProxy, writer: FakeWriter) -> Capturing:
    return Capturing(proxy, writer)  # type: ignore[arg-type]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.001)


def test_records_are_written_as_they_come_and_at_the_end() -> None:
    proxy, writer = FakeProxy(), FakeWriter()
    with capturing(proxy, writer):
        proxy.keep(b"1", b"2")
        until(lambda: writer.written == [b"1", b"2"])
        writer.gate.clear()
        proxy.keep(b"3")
        proxy.keep(b"4", b"5")
        writer.gate.set()
    assert writer.written == [b"1", b"2", b"3", b"4", b"5"]
    assert writer.closed


def test_a_full_disk_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    proxy, writer = FakeProxy(), FakeWriter()
    with capturing(proxy, writer):
        writer.broken = True
        for _ in range(3):
            proxy.keep(b"lost", b"lost")
        until(lambda: writer.refused == 3)
        writer.broken = False
        proxy.keep(b"kept")
    assert writer.written == [b"kept"]
    assert [record.getMessage() for record in caplog.records] == [
        "/captures: captures cannot be written: No space left on device",
        "Captures are written again; some of 6 records are lost",
    ]


def test_a_disk_that_hangs_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    proxy, writer = FakeProxy(), FakeWriter()
    writer.gate.clear()
    thread = capturing(proxy, writer)
    thread.start()
    proxy.keep(b"1")
    assert not thread.stop(0.1)
    assert "not written within 0.1 s" in caplog.records[-1].getMessage()
    writer.gate.set()
    assert thread.stop(SECONDS)
    assert writer.written == [b"1"]


def test_a_file_that_is_old_enough_is_complete_though_nothing_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infermesh_sidecar.capturing._PATIENCE_SECONDS", 0.01)
    now = [0.0]
    writer = CaptureWriter(tmp_path, Rotation(max_file_age_seconds=60), clock=lambda: now[0])
    proxy = FakeProxy()
    with Capturing(proxy, writer):
        proxy.keep(b"record")
        until(lambda: len(list(tmp_path.glob("*.open"))) == 1)
        now[0] = 61.0
        until(lambda: len(list(tmp_path.glob("*.capture"))) == 1)


def test_what_passes_the_native_proxy_is_read_from_files(tmp_path: Path) -> None:
    with echoing() as app, recording() as server:
        text = (
            f"services: {{m: {{endpoints: '127.0.0.1:{server.port}'}}}}\n"
            f"outbound: {{listen: '127.0.0.1:0', service: m}}\n"
            f"inbound: {{listen: '127.0.0.1:0', app: '127.0.0.1:{app}'}}\n"
            f"capture: {{directory: captures, sample: 100%}}\n"
        )
        with proxying(text) as running, Capturing(running.proxy, CaptureWriter(tmp_path)):
            with grpc.insecure_channel(f"127.0.0.1:{running.ports['outbound']}") as channel:
                stub = GRPCInferenceServiceStub(channel)
                stub.ModelInfer(request("m", id_="7", x=ints([1])), timeout=SECONDS)
            ask(running.ports["inbound"], "/orders", {"amount": 5})
            # A record follows its answer: until it is posted, the end would not find it.
            assert running.proxy.drain(SECONDS)
    found = {captured.record.path: captured for captured in read(tmp_path)}
    inference = found["/inference.GRPCInferenceService/ModelInfer"]
    (asked,) = inference.requests
    assert (asked.model, asked.id, asked.tensors["x"].tolist()) == ("m", "7", [[1]])
    assert inference.record.grpc_status == 0
    order = found["/orders"].record
    assert (order.route, order.request.data, order.http_status) == ("app", b'{"amount": 5}', 200)
