from pathlib import Path

import pytest
from infermesh_perf.errors import RunError
from infermesh_perf.models import MODELS
from infermesh_perf.peers import Infermesh, PerfAnalyzer
from infermesh_perf.peers.perf_analyzer import Analysis, parse
from infermesh_perf.processes import serving

HEADER = "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,"
SERVER = "Server Queue,Server Compute Input,Server Compute Infer,Server Compute Output,"
TAIL = "Client Recv,p50 latency,p90 latency,p95 latency,p99 latency\n"


def test_it_measures_a_real_server(root: Path) -> None:
    analyzer = PerfAnalyzer(root)
    if (why := analyzer.missing()) is not None:
        pytest.skip(why)
    model = MODELS["perceptron"]
    with serving(Infermesh(root).command(model, model.save(root))) as server:
        # Windows this short differ: any difference is allowed.
        found = analyzer.run(server.port, model.name, 4, window_requests=200, stability_percent=1000)
        assert found.inferences_per_second > 100
        assert 0 < found.percentiles_ns["50"] <= found.percentiles_ns["99"]
        # Little's law: so many were under way, less what the program itself does between two requests.
        assert 2 < found.inferences_per_second * found.mean_ns / 1e9 < 4.5
        with pytest.raises(RunError, match="no three windows alike among 3"):
            analyzer.run(server.port, model.name, 1, window_requests=20, trials=3, stability_percent=0.001)
        with pytest.raises(RunError, match=r"ended with 99:\n.*unknown model: 'absent'"):
            analyzer.run(server.port, "absent", 1)


def test_the_table_is_read() -> None:
    text = f"{HEADER}{SERVER}{TAIL}4,13799.3,1,220,2,3,13,4,5,225,337,377,475\n"
    percentiles = {"50": 225_000.0, "90": 337_000.0, "95": 377_000.0, "99": 475_000.0}
    assert parse(text) == Analysis(13799.3, 248_000.0, percentiles)


def test_a_server_without_statistics_has_fewer_columns() -> None:
    found = parse(f"{HEADER}{TAIL}4,100,1,220,5,225,337,377,475\n")
    assert found.mean_ns == 226_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "found 0 rows"),
        (f"{HEADER}{TAIL}", "found 0 rows"),
        (f"{HEADER}{TAIL}" + "4,100,1,220,5,225,337,377,475\n" * 2, "found 2 rows"),
        (f"{HEADER}{TAIL}4,many,1,220,5,225,337,377,475\n", "many"),
        ("Concurrency\n4\n", "'Concurrency': '4'"),
        (f"{HEADER}{TAIL}4,100\n", "None"),
    ],
)
def test_what_is_no_table(text: str, found: str) -> None:
    with pytest.raises(RunError, match=found):
        parse(text)
