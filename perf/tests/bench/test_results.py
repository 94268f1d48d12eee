import json
from pathlib import Path

from infermesh_perf import machine
from infermesh_perf.bench import result_file
from infermesh_perf.bench.alone import Pace
from infermesh_perf.bench.h2load import Sample
from infermesh_perf.bench.own_client import OwnSample
from infermesh_perf.bench.report import tables
from infermesh_perf.bench.results import LoadResult, ModelResult, Result, Startup
from infermesh_perf.models import Load
from rich.console import Console


def _samples(*rates: float) -> list[Sample]:
    return [Sample(rate, int(rate), 0, 1 / rate, 1 / rate, 2 / rate, 1) for rate in rates]


def _own(*rates: float) -> list[OwnSample]:
    return [OwnSample(rate, 100, 0.002, 0.001, 0.004, 0.0, 0.5) for rate in rates]


def _result() -> Result:
    load = LoadResult(
        Load(rows=8, streams=4),
        {"triton": _samples(10, 20), "infermesh": _samples(20, 50)},
        {"triton": _own(10, 20), "infermesh": _own(22, 50)},
    )
    model = ModelResult("mlp", {}, [load], [[Pace(8, 2, 1, 200.0)], [Pace(8, 2, 1, 400.0)]])
    return Result(
        begun=result_file.begin({"rounds": 2}, {}),
        subject="infermesh",
        peers=["triton", "infermesh"],
        load_average_before=0.0,
        startup_model="perceptron",
        startup={"infermesh": Startup([0.5], [1 << 20], [1 << 20])},
        models=[model],
    )


def test_json_holds_rounds_ratios_and_shares(tmp_path: Path) -> None:
    path = tmp_path / "results" / "serve.json"

    assert result_file.save(_result().as_json(), "serve", Path(), path) == path

    found = json.loads(path.read_text())
    assert found["options"] == {"rounds": 2}
    entry = found["models"][0]["loads"][0]
    assert entry["load"] == {"rows": 8, "streams": 4}
    assert [sample["requests_per_second"] for sample in entry["samples"]["infermesh"]] == [20, 50]
    assert entry["ratios"] == {"infermesh/triton": {"median": 2.25, "low": 2, "high": 2.5}}
    assert entry["share_of_onnxruntime_alone"]["infermesh"] == {"median": 0.9, "low": 0.8, "high": 1}


def test_a_result_is_named_after_its_day_and_its_machine(tmp_path: Path) -> None:
    result = result_file.begin({}, {}) | {"taken": "2026-01-02T23:59:59+00:00"}

    path = result_file.save(result, "serve", tmp_path, None)

    kind = machine.kind(machine.describe())
    assert path == tmp_path / "perf" / "results" / f"serve-2026-01-02-{kind}.json"
    assert list(json.loads(path.read_text())) == ["schema", "taken", "options", "machine", "versions"]


def test_tables_name_the_ratio_and_its_spread() -> None:
    console = Console(width=200)
    with console.capture() as captured:
        for table in tables(_result()):
            console.print(table)

    text = captured.get()
    assert "infermesh / triton" in text
    assert "2.25 (2.00 - 2.50)" in text
    assert "90% (80% - 100%)" in text
    assert "1 / 4 ms" in text
    assert "1.05 (1.00 - 1.10)" in text
    assert "0.50 s" in text


def test_machines_alike_share_a_name() -> None:
    described = {"cpu": "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "cores": 8}

    assert machine.kind(described) == "intel-xeon-platinum-8375c-8c"


def test_the_description_names_no_host() -> None:
    assert set(machine.describe()) == {
        "cpu",
        "family_model_stepping",
        "architecture",
        "cores",
        "virtual",
        "memory_bytes",
        "kernel",
        "system",
        "python",
    }
