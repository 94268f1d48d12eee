"""SIGTERM: no accepted request is lost, nothing new is taken, the process ends with 0."""

import ctypes
import queue
import signal
import socket
import threading
import time
from pathlib import Path

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, floats, ints, outputs, refused, request, status
from support.gate import Gate
from support.http2 import Connection, grpc_fields, prefixed
from support.python_models import GATED
from support.repository import Repository
from support.server import Serve, Server

#: Well below what a drain is given by default, well above what an orderly one takes.
PROMPT_SECONDS = 6.0


@pytest.fixture
def gated(serve: Serve, repository: Repository, gate: Gate) -> Server:
    """A server with a model that the test can hold."""
    repository.python("gated", GATED, config=gate.config)
    repository.onnx("scale", onnx_models.scale(3.0, ("n", "m")))
    server = serve()
    server.wait_ready()
    return server


def connect_again_and_again(port: int) -> None:
    """The listener is told of the end when connections are, and closes when it comes to it."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS).close()


def test_an_idle_server_ends_at_once(gated: Server) -> None:
    gated.terminate()
    assert gated.wait(PROMPT_SECONDS) == 0
    actions = [record.get("event.action") for record in gated.records]
    assert actions[-2:] == ["server-draining", "server-stopped"]


def test_the_signal_may_come_to_any_thread(gated: Server) -> None:
    """The system chooses; the main thread sleeps, and has to hear of it all the same."""
    tasks = Path(f"/proc/{gated.pid}/task")
    names = {task.name: (task / "comm").read_text() for task in tasks.iterdir()}
    thread = next(int(task) for task, name in names.items() if name.startswith("network/0"))
    main = tasks / str(gated.pid) / "stat"
    deadline = time.monotonic() + SECONDS
    asleep = 0
    # It is ready a moment before it sleeps.
    while asleep < 1000 and time.monotonic() < deadline:
        asleep = asleep + 1 if main.read_text().rpartition(")")[2].split()[0] == "S" else 0
    assert ctypes.CDLL(None).tgkill(gated.pid, thread, signal.SIGTERM) == 0
    assert gated.wait(PROMPT_SECONDS) == 0


def test_what_runs_and_what_waits_is_answered(gated: Server, gate: Gate) -> None:
    with Client(gated.target) as client:
        running = client.start(request("gated", x=ints([1])))
        gate.next_batch()
        waiting = [client.start(request("gated", x=ints([value]))) for value in (2, 3)]
        client.fence()
        gated.terminate()
        gated.wait_for("server-draining")
        gate.open()
        assert [outputs(call.result())["y"].tolist() for call in (running, *waiting)] == [
            [[1]],
            [[2]],
            [[3]],
        ]
        assert gated.wait(PROMPT_SECONDS) == 0


def test_a_new_connection_is_refused(gated: Server, gate: Gate) -> None:
    with Client(gated.target) as client:
        port = gated.port
        held = client.start(request("gated", x=ints([1])))
        gate.next_batch()
        with Connection(port) as other:
            # A connection whose handshake is not over is closed without a word.
            assert other.ping()
            gated.terminate()
            other.wait_goaway()
            with pytest.raises(ConnectionRefusedError):
                connect_again_and_again(port)
        gate.open()
        held.result()
        assert gated.wait(PROMPT_SECONDS) == 0


def test_a_request_on_a_connection_that_drains_is_told_so(gated: Server, gate: Gate) -> None:
    with Connection(gated.port) as connection, Client(gated.target) as client:
        held = client.start(request("gated", x=ints([1])))
        gate.next_batch()
        gated.terminate()
        connection.wait_goaway()
        stream = connection.grpc("/inference.GRPCInferenceService/ServerLive", b"")
        answer = connection.response(stream)
        # Not processed at all, being beyond the last stream, or refused in words: both may be tried again.
        assert answer.reset is not None or answer.closed or answer.grpc_status == grpc.StatusCode.UNAVAILABLE
        gate.open()
        held.result()
        assert gated.wait(PROMPT_SECONDS) == 0


def test_under_load_every_accepted_request_is_answered(gated: Server) -> None:
    target = gated.target
    started = threading.Barrier(9)
    lost: queue.SimpleQueue[str] = queue.SimpleQueue()
    answered = [0] * 8

    def call(caller: int) -> None:
        with Client(target) as client:
            started.wait(SECONDS)
            while True:
                try:
                    client.infer(request("scale", x=floats(1, 64)))
                except grpc.RpcError as error:
                    code, message = status(error)
                    refusals = ("shutting down", "refused", "failed to connect")
                    if code != grpc.StatusCode.UNAVAILABLE or not any(each in message for each in refusals):
                        lost.put(f"{code}: {message}")
                    return
                answered[caller] += 1
                if answered[caller] == 20:
                    warm.release()

    warm = threading.Semaphore(0)
    callers = [threading.Thread(target=call, args=(caller,)) for caller in range(8)]
    for caller in callers:
        caller.start()
    started.wait(SECONDS)
    for _ in callers:
        assert warm.acquire(timeout=SECONDS)
    gated.terminate()
    for caller in callers:
        caller.join(SECONDS)
    assert lost.empty(), lost.get()
    assert gated.wait(PROMPT_SECONDS) == 0


def test_a_stream_gets_its_answers_and_then_its_end(gated: Server, gate: Gate) -> None:
    messages = [request("gated", id_=f"answer {each}", x=ints([each])) for each in (1, 2)]
    with Connection(gated.port) as connection:
        stream = connection.headers(grpc_fields("/inference.GRPCInferenceService/ModelStreamInfer"))
        connection.data(stream, b"".join(prefixed(message.SerializeToString()) for message in messages))
        gate.next_batch()
        live = connection.grpc("/inference.GRPCInferenceService/ServerLive", b"")
        assert connection.response(live).grpc_status == grpc.StatusCode.OK
        gated.terminate()
        connection.wait_goaway()
        gate.open()
        answer = connection.response(stream)
        assert b"answer 1" in answer.data
        assert b"answer 2" in answer.data
        # The client had more to say, perhaps: then it is told that nobody listens any more.
        assert answer.grpc_status in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
        # Not at once: a ping that is on its way may still be answered.
        connection.wait_closed()
        assert gated.wait(PROMPT_SECONDS) == 0


def test_an_idle_stream_is_told_why_it_ends(gated: Server) -> None:
    to_send: queue.SimpleQueue[pb.ModelInferRequest | None] = queue.SimpleQueue()
    with Client(gated.target) as client:
        stream = client.stream(iter(lambda: to_send.get(timeout=SECONDS), None))
        stream.initial_metadata()
        gated.terminate()
        with refused(grpc.StatusCode.UNAVAILABLE, "GRPC server is shutting down"):
            next(stream)
        to_send.put(None)
        assert gated.wait(PROMPT_SECONDS) == 0


def test_a_connection_that_says_nothing_does_not_hold_the_end_up(gated: Server) -> None:
    with socket.create_connection(("127.0.0.1", gated.port), timeout=SECONDS):
        # Answered on a later connection, so the silent one has been accepted by then.
        with Client(gated.target) as client:
            client.fence()
        gated.terminate()
        assert gated.wait(PROMPT_SECONDS) == 0


def test_a_client_that_no_longer_reads_does_not_hold_the_end_up(gated: Server) -> None:
    with Connection(gated.port) as connection:
        stream = connection.grpc("/inference.GRPCInferenceService/ServerLive", b"")
        assert connection.response(stream).grpc_status == grpc.StatusCode.OK
        # From here on it answers no ping and reads no farewell.
        gated.terminate()
        assert gated.wait(PROMPT_SECONDS) == 0


def test_a_drain_that_runs_out_of_time_says_so_and_ends(
    serve: Serve, repository: Repository, gate: Gate
) -> None:
    repository.python("gated", GATED, config=gate.config)
    server = serve("--exit-timeout-secs", "0.5")
    server.wait_ready()
    with Client(server.target) as client:
        call = client.start(request("gated", x=ints([1])))
        gate.next_batch()
        server.terminate()
        # The model never comes back: the limit is the limit.
        assert server.wait(PROMPT_SECONDS) == 1
        assert any("cut off" in line for line in server.errors)
        assert call.exception().code() == grpc.StatusCode.UNAVAILABLE


def test_a_second_signal_ends_it_now(gated: Server, gate: Gate) -> None:
    with Client(gated.target) as client:
        client.start(request("gated", x=ints([1])))
        gate.next_batch()
        gated.terminate()
        gated.wait_for("server-draining")
        gated.terminate()
        assert gated.wait(PROMPT_SECONDS) == -15
