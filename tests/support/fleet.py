"""Several model servers that do the same, each of which can be hurt."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from support.client import Client, ints, request
from support.process import stop_in_order
from support.repository import Repository
from support.server import LOOPBACK, Server

MODEL = "m"

#: Answers its input; after a while, as long as there is a file that says so.
SLOWABLE = """
import time
from pathlib import Path


class Model:
    inputs = {"x": ("INT32", [1])}
    outputs = {"y": ("INT32", [1])}
    max_batch_size = 8

    def __init__(self, context):
        self.slow = Path(context.parameters["slow"])

    def infer(self, batch):
        if self.slow.exists():
            time.sleep(float(self.slow.read_text()))
        return {"y": batch["x"]}
"""

#: What its model is asked.
REQUEST = request(MODEL, x=ints([7]))


class Member:
    """One server, which keeps its port over its lives."""

    def __init__(self, folder: Path) -> None:
        self._slow = folder / "slow"
        self._repository = Repository.make(folder / "repository")
        config = f'parameters {{ key: "slow" value {{ string_value: "{self._slow}" }} }}\n'
        self._repository.python(MODEL, SLOWABLE, config=config)
        self.server = Server(self._repository.root, *LOOPBACK)
        self.port = self.server.port

    def restart(self) -> None:
        """Begin a new life, which is ready when this returns."""
        self.server = Server(self._repository.root, *LOOPBACK[:2], "--grpc-port", str(self.port))
        self.server.wait_ready()

    @contextlib.contextmanager
    def slowed(self, seconds: float) -> Iterator[None]:
        """Every batch takes so long within the block."""
        self._slow.write_text(str(seconds))
        try:
            yield
        finally:
            self._slow.unlink()

    def received(self) -> int:
        """Inferences that came to an end in this life, in whatever way."""
        with Client(self.server.target) as client:
            found = client.statistics(MODEL).inference_stats
        return int(found.success.count + found.fail.count)


@contextlib.contextmanager
def fleet(folder: Path, count: int = 3) -> Iterator[list[Member]]:
    """So many of them, ready; all that live at the end of the block end in order."""
    members: list[Member] = []
    try:
        members.extend(Member(folder / str(index)) for index in range(count))
        for member in members:
            member.server.wait_ready()
        yield members
        for member in members:
            stop_in_order(member.server)
    finally:
        for member in members:
            if member.server.running:
                member.server.kill()
