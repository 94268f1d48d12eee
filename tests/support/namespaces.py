"""Two machines on one: network namespaces of the test's own, with a cable between them."""

import asyncio
import contextlib
import ctypes
import itertools
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Addresses that are for documentation, so nobody's (RFC 5737).
SERVER_ADDRESS, CLIENT_ADDRESS = "192.0.2.1", "192.0.2.2"

_CLONE_NEWNET = 0x40000000

_serial = itertools.count()


class Machine:
    """One namespace: loopback, one cable, nothing else."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def within(self) -> tuple[str, ...]:
        """What goes before a command that is to run there."""
        return ("ip", "netns", "exec", self.name)

    def enter(self) -> None:
        """Move the calling thread there, for good; sockets that it opens from now on are of that machine."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/run/netns/{self.name}").open() as namespace:
            if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    @contextmanager
    def relay(self, host: str, port: int) -> Iterator[int]:
        """A port on the test's own loopback: who connects to it reaches host and port from this machine."""
        loop = asyncio.new_event_loop()
        done = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=self._serve, args=(loop, listener, (host, port), done))
            thread.start()
            try:
                yield int(listener.getsockname()[1])
            finally:
                loop.call_soon_threadsafe(done.set)
                thread.join()

    def _serve(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        target: tuple[str, int],
        done: asyncio.Event,
    ) -> None:
        # The loop opens its sockets on the thread that runs it.
        self.enter()
        with contextlib.closing(loop):
            loop.run_until_complete(_relay(listener, target, done))


async def _relay(listener: socket.socket, target: tuple[str, int], done: asyncio.Event) -> None:
    connections: set[asyncio.Task[None]] = set()

    async def accept() -> None:
        while True:
            near, _ = await loop.sock_accept(listener)
            task = loop.create_task(_connect(near, target))
            connections.add(task)
            task.add_done_callback(connections.discard)

    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    accepting = loop.create_task(accept())
    await done.wait()
    tasks = [accepting, *connections]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _connect(near: socket.socket, target: tuple[str, int]) -> None:
    loop = asyncio.get_running_loop()
    with near, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as far:
        near.setblocking(False)
        far.setblocking(False)
        await loop.sock_connect(far, target)

        async def pump(source: socket.socket, sink: socket.socket) -> None:
            while chunk := await loop.sock_recv(source, 1 << 16):
                await loop.sock_sendall(sink, chunk)

        pumps = [loop.create_task(pump(near, far)), loop.create_task(pump(far, near))]
        try:
            # Whoever hangs up first, both do: nothing here half-closes.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """A server's and a client's, at their addresses; the test is skipped where it may not make them."""
    server, client = (Machine(f"infermesh-{os.getpid()}-{next(_serial)}") for _ in range(2))
    made: list[Machine] = []
    try:
        for machine in (server, client):
            try:
                _ip("netns", "add", machine.name)
            except (OSError, subprocess.CalledProcessError):
                pytest.skip("network namespaces need the right to make them, and iproute2")
            made.append(machine)
        _ip(
            "link",
            "add",
            "cable",
            "netns",
            server.name,
            "type",
            "veth",
            "peer",
            "cable",
            "netns",
            client.name,
        )
        for machine, address in ((server, SERVER_ADDRESS), (client, CLIENT_ADDRESS)):
            _ip("-n", machine.name, "address", "add", f"{address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                _ip("-n", machine.name, "link", "set", device, "up")
        yield server, client
    finally:
        for machine in made:
            _ip("netns", "delete", machine.name)


@contextmanager
def one_machine() -> Iterator[Machine]:
    """One with loopback alone, where every port is free; the test is skipped where it may not make it."""
    machine = Machine(f"infermesh-{os.getpid()}-{next(_serial)}")
    try:
        _ip("netns", "add", machine.name)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("network namespaces need the right to make them, and iproute2")
    try:
        _ip("-n", machine.name, "link", "set", "lo", "up")
        yield machine
    finally:
        _ip("netns", "delete", machine.name)
