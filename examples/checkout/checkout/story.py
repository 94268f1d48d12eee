"""The same orders to the same shop twice: alone, and with a sidecar before it."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from rich.console import Console

from checkout import shop
from checkout.data import Document, Orders, generate
from checkout.features import columns
from checkout.outcome import Fate, Outcome
from checkout.page import write_page
from checkout.processes import running
from checkout.shopper import SEED, shop_for, table
from checkout.train import ensure_repository, model_file

#: What a sidecar may let through without a score, as its rule says for a model that is late.
UNSCORED = 0.01

#: FP32 on its way through JSON: what a score may differ by.
TOLERANCE = 1e-5

#: The example's mesh, and the folder that it names for what is made.
MESH, OUT = Path(__file__).parents[1] / "mesh.yaml", "../../out/checkout"


@dataclass(frozen=True)
class Ports:
    """Where people find things on this machine; mesh.yaml names the same."""

    shop: int = shop.PORT
    #: Takes orders in the shop's place.
    sidecar: int = 8080


@dataclass(frozen=True)
class Stage:
    """Starts what the story needs; the logs lie beside the model repository."""

    folder: Path
    ports: Ports

    @property
    def repository(self) -> Path:
        """Where the model lies."""
        return self.folder / "models"

    def shop(self) -> AbstractContextManager[None]:
        """Start the shop."""
        command = (sys.executable, "-m", "checkout.shop", "--port", str(self.ports.shop))
        return self._running("the shop", command, self.ports.shop, "/healthz")

    def mesh(self, file: Path) -> AbstractContextManager[None]:
        """Start the shop as a part of a mesh: the model server, and the sidecar that asks it."""
        text = file.read_text(encoding="utf-8").replace(OUT, str(self.folder.absolute()))
        usual = Ports()
        for here, there in ((usual.shop, self.ports.shop), (usual.sidecar, self.ports.sidecar)):
            text = text.replace(str(here), str(there))
        mine = self.folder / "mesh.yaml"
        mine.write_text(text, encoding="utf-8")
        command = (sys.executable, "-m", "infermesh", "up", str(mine))
        return self._running("the mesh", command, self.ports.sidecar, "/healthz")

    def _running(
        self, name: str, command: Sequence[str], port: int, ready: str
    ) -> AbstractContextManager[None]:
        log = self.folder / f"{name.removeprefix('the ').replace(' ', '-')}.log"
        return running(name, command, log, port=port, ready=ready)


def run(
    folder: Path,
    count: int,
    console: Console,
    *,
    mesh: Path | None = None,
    ports: Ports | None = None,
    afterwards: Callable[[int], None] = lambda _: None,
) -> list[str]:
    """Tell the story once, writing below ``folder``; returns what is wrong, if anything.

    ``mesh`` is a mesh.yaml that has the shop; without one it stays alone. ``afterwards`` is given the
    port that orders went to, and everything runs until it returns. Raises ProcessFailed.
    """
    stage = Stage(folder, ports or Ports())
    with console.status("Looking for the fraud model, training it if need be"):
        quality = ensure_repository(stage.repository)
        orders = generate(count, SEED)
    for line in quality.sentences():
        console.print(line, highlight=False)

    with ExitStack() as processes, console.status("Placing orders with the shop") as status:
        processes.enter_context(stage.shop())
        port = stage.ports.shop
        outcomes = [_place("The shop alone", port, orders)]
        if mesh is not None:
            # A new shop, with an empty book; nothing else about it is new.
            processes.close()
            status.update("Placing the same orders with the sidecar")
            processes.enter_context(stage.mesh(mesh))
            port = stage.ports.sidecar
            outcomes.append(_place("With the sidecar", port, orders))
        status.stop()
        console.print(table(outcomes), highlight=False)
        page = folder / "checkout.html"
        write_page(page, quality.sentences(), outcomes)
        console.print(f"Every order and what became of it: {page}", highlight=False, soft_wrap=True)
        afterwards(port)
    expected = scores(model_file(stage.repository), orders.documents)
    return [
        problem for outcome in outcomes for problem in check(outcome, expected, outcome is not outcomes[0])
    ]


def _place(name: str, port: int, orders: Orders) -> Outcome:
    return shop_for(name, f"http://127.0.0.1:{port}", orders)


def scores(model: Path, documents: Sequence[Document]) -> NDArray[np.float32]:
    """Return what ONNX Runtime itself says of each order, FP32 [n]."""
    (score,) = onnxruntime.InferenceSession(model).run(["score"], columns(documents))
    return np.asarray(score, np.float32).reshape(-1)


def check(outcome: Outcome, expected: NDArray[np.float32], with_score: bool) -> list[str]:
    """Return what is wrong with an outcome, in sentences; ``expected`` [n] are the model's scores."""
    problems = []
    if outcome.problems:
        problems.append(
            f"{outcome.name}: {len(outcome.problems)} orders were not taken, one {outcome.problems[0]}"
        )
    if not with_score:
        if outcome.scored:
            problems.append(f"{outcome.name}: {outcome.scored} orders had a score, and nobody to give it")
        return problems
    total = len(outcome.answers)
    if outcome.scored < (1 - UNSCORED) * total:
        problems.append(f"{outcome.name}: only {outcome.scored} of {total} orders had a score")
    pairs = zip(outcome.answers, expected, strict=True)
    furthest = max(
        (abs(answer.risk - score) for answer, score in pairs if answer.risk is not None), default=0
    )
    if furthest > TOLERANCE:
        problems.append(
            f"{outcome.name}: a score is {furthest:.2g} away from the model's, more than {TOLERANCE:g}"
        )
    if not outcome.count(Fate.STOPPED):
        problems.append(f"{outcome.name}: no fraud was held")
    return problems
