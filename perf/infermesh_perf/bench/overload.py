"""What overload does to callers with an objective: `python -m infermesh_perf.bench.overload`.

One model is served under several policies, which take turns under the same load. The model waits instead of
computing, as one does whose work is done by a device: a batch takes a fixed time and a time per row, whatever
else the machine does.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from infermesh.proto.inference import grpc_service_pb2 as pb
from rich.table import Table

from infermesh_perf import machine
from infermesh_perf.bench import result_file
from infermesh_perf.bench.compare import Spread, interleave, ratios
from infermesh_perf.bench.control import command
from infermesh_perf.bench.entry import Out, Root, run, wide_console
from infermesh_perf.bench.open_loop import Calls, poisson
from infermesh_perf.processes import serving

SUBJECT = "slo_ms"
MAX_BATCH = 8

MODEL = """
import time


class Model:
    inputs = {{"x": ("FP32", [4])}}
    outputs = {{"y": ("FP32", [4])}}
    max_batch_size = {max_batch}

    def infer(self, batch):
        time.sleep(({fixed} + {row} * len(batch["x"])) / 1000)
        return {{"y": batch["x"]}}
"""


@dataclass(frozen=True)
class Device:
    """Milliseconds that a batch takes: for itself and for each of its rows."""

    fixed: float
    row: float

    @property
    def full_batch(self) -> float:
        """Milliseconds of the largest batch."""
        return self.fixed + self.row * MAX_BATCH

    @property
    def capacity(self) -> float:
        """Rows per second in batches of the largest size."""
        return MAX_BATCH / self.full_batch * 1000


@dataclass(frozen=True)
class Turn:
    """One policy under load once: requests per second, and milliseconds of those that were answered."""

    offered: float
    good: float
    late: float
    refused: float
    unanswered: float
    p50: float
    p99: float
    slip: float

    @classmethod
    def of(cls, calls: Calls, slo: float) -> Turn:
        """Good is what is answered within `slo` seconds."""
        good = sum(latency <= slo for latency in calls.latencies)
        cuts = statistics.quantiles(calls.latencies, n=100) if len(calls.latencies) > 1 else [0.0] * 99
        return cls(
            offered=calls.offered / calls.seconds,
            good=good / calls.seconds,
            late=(len(calls.latencies) - good) / calls.seconds,
            refused=sum(calls.refused.values()) / calls.seconds,
            unanswered=calls.unanswered / calls.seconds,
            p50=cuts[49] * 1000,
            p99=cuts[98] * 1000,
            slip=calls.slip * 1000,
        )


def policies(slo: float, delay: float, device: Device) -> dict[str, str]:
    """By name: what config.pbtxt says about the same model. Times are milliseconds."""
    fixed = f"max_queue_delay_microseconds: {int(delay * 1000)}"

    def refusing(after: float) -> str:
        return f"default_queue_policy {{ default_timeout_microseconds: {int(after * 1000)} }}"

    return {
        "fixed delay": f"dynamic_batching {{ {fixed} }}",
        "and a queue timeout": f"dynamic_batching {{ {fixed} {refusing(slo)} }}",
        "and one set by hand": f"dynamic_batching {{ {fixed} {refusing(slo - 1.1 * device.full_batch)} }}",
        SUBJECT: f'dynamic_batching {{ }} parameters {{ key: "slo_ms" value {{ string_value: "{slo}" }} }}',
    }


def main(
    load: Annotated[float, typer.Option(min=0.01, help="Offered load, in times the capacity.")] = 1.5,
    slo: Annotated[float, typer.Option(min=1, help="The objective, from due to answered, in ms.")] = 100.0,
    delay: Annotated[float, typer.Option(min=0, help="Delay of the fixed policies, in ms.")] = 5.0,
    fixed: Annotated[float, typer.Option(min=0, help="What a batch takes, in ms.")] = 8.0,
    row: Annotated[float, typer.Option(min=0, help="What each of its rows adds, in ms.")] = 1.5,
    rounds: Annotated[int, typer.Option(min=1, help="How often every policy gets its turn.")] = 5,
    duration: Annotated[float, typer.Option(min=1, help="Seconds of each turn under load.")] = 5.0,
    root: Root = Path(),
    out: Out = None,
) -> None:
    """Measure goodput under overload: requests answered within the objective, per second.

    Requests come one row at a time at random moments (Poisson), and nobody waits for anybody. Each turn
    begins with an idle server and a second at half its capacity, which is not counted. Late answers count as
    none, and after ten times the objective a caller gives up.

    Without a limit a queue grows for as long as the overload lasts, so the figure of `fixed delay` falls with
    the duration. A queue timeout set by hand to the objective less a batch is the best that fixed settings
    can do, for a model whose batches always take the same.

    The result is written to `perf/results/overload-DATE-KIND.json`.
    """
    options = {
        "load": load,
        "slo_ms": slo,
        "delay_ms": delay,
        "batch_ms": [fixed, row],
        "rounds": rounds,
        "duration_seconds": duration,
    }
    result = result_file.begin(options, machine.own_versions())
    device = Device(fixed, row)
    names = policies(slo, delay, device)
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="infermesh-perf-") as folder:
        repository = Path(folder) / "models"
        for index, config in enumerate(names.values()):
            version = repository / f"m{index}" / "1"
            version.mkdir(parents=True)
            version.joinpath("model.py").write_text(MODEL.format(fixed=fixed, row=row, max_batch=MAX_BATCH))
            version.parent.joinpath("config.pbtxt").write_text(config)
        with serving(command(repository, "m0", Path(folder) / "server.log", everything=True)) as server:
            for turn, name in interleave(rounds, list(names)):
                message = _request(f"m{list(names).index(name)}")
                rate = load * device.capacity
                calls = asyncio.run(_turn(server.port, message, device, rate, duration, slo / 1000, turn))
                turns[name].append(Turn.of(calls, slo / 1000))
    found = {
        "capacity": device.capacity,
        "turns": {name: [asdict(turn) for turn in of] for name, of in turns.items()},
        "goodput_ratios": {
            f"{SUBJECT}/{name}": asdict(Spread.of(ratios(_good(turns[SUBJECT]), _good(turns[name]))))
            for name in names
            if name != SUBJECT and min(_good(turns[name])) > 0
        },
    }
    path = result_file.save(result | found, "overload", root, out)
    console = wide_console()
    console.print(_table(turns, device, load))
    console.print(f"written to {path}", highlight=False, soft_wrap=True)


async def _turn(
    port: int, message: bytes, device: Device, rate: float, seconds: float, slo: float, seed: int
) -> Calls:
    await poisson(port, message, device.capacity / 2, 1.0, 10.0, seed)
    # Nobody who has an objective waits for ten times as long.
    return await poisson(port, message, rate, seconds, 10 * slo, seed)


def _request(model: str) -> bytes:
    request = pb.ModelInferRequest(model_name=model)
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    request.raw_input_contents.append(bytes(16))
    return request.SerializeToString()


def _good(turns: list[Turn]) -> list[float]:
    return [turn.good for turn in turns]


def _table(turns: dict[str, list[Turn]], device: Device, load: float) -> Table:
    table = Table(title=f"capacity {device.capacity:.0f}/s, offered {load} times that")
    for column in (
        "policy",
        "good/s",
        "late/s",
        "refused/s",
        "p50 ms",
        "p99 ms",
        "slip ms",
        f"{SUBJECT} / it",
    ):
        table.add_column(column, justify="left" if column == "policy" else "right")
    for name, of in turns.items():
        middle = {key: statistics.median(asdict(turn)[key] for turn in of) for key in asdict(of[0])}
        good = Spread.of(_good(of))
        ratio = "-"
        if name != SUBJECT and good.low > 0:
            ratio = str(Spread.of(ratios(_good(turns[SUBJECT]), _good(of))))
        table.add_row(
            name,
            f"{good.median:.0f} ({good.low:.0f} - {good.high:.0f})",
            f"{middle['late'] + middle['unanswered']:.0f}",
            f"{middle['refused']:.0f}",
            f"{middle['p50']:.1f}",
            f"{middle['p99']:.1f}",
            f"{middle['slip']:.0f}",
            ratio,
        )
    return table


if __name__ == "__main__":
    run(main, "infermesh_perf.bench.overload")
