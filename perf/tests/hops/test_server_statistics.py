from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh_perf.hops.server_times import ServerTimes, mean_times
from infermesh_perf.hops.statistics import difference
from support import onnx_models
from support.client import SECONDS, Client, floats, request
from support.ensembles import chain, put_ensemble
from support.repository import Repository
from support.server import LOOPBACK, serving

MILLI = 1_000_000


def _stats(name: str, version: str, requests: int, per_request_ns: int, hits: int = 0) -> pb.ModelStatistics:
    """A model whose stages took 1/10, 2/10, 3/10 and 1/10 of the total."""
    whole = requests * per_request_ns

    def part(tenths: int, count: int = requests) -> pb.StatisticDuration:
        return pb.StatisticDuration(count=count, ns=whole * tenths // 10)

    computed = requests - hits
    return pb.ModelStatistics(
        name=name,
        version=version,
        inference_count=computed,
        execution_count=computed // 2,
        inference_stats=pb.InferStatistics(
            success=part(10),
            fail=pb.StatisticDuration(count=requests // 10),
            queue=part(1),
            compute_input=part(2, computed),
            compute_infer=part(3, computed),
            compute_output=part(1, computed),
            cache_hit=pb.StatisticDuration(count=hits),
        ),
        batch_stats=[
            pb.InferBatchStatistics(batch_size=2, compute_infer=pb.StatisticDuration(count=computed // 2))
        ],
    )


def _answer(*models: pb.ModelStatistics) -> pb.ModelStatisticsResponse:
    return pb.ModelStatisticsResponse(model_stats=models)


def test_means_are_over_the_requests_between_the_two_answers() -> None:
    before, after = _stats("m", "1", 100, MILLI), _stats("m", "1", 300, 2 * MILLI, hits=100)
    found = difference(_answer(before), _answer(after))

    (model,) = found.of("m")
    # 300 x 2 ms - 100 x 1 ms over 200 requests, half of which the cache answered: they count everywhere.
    assert model.times == ServerTimes(
        "ModelStatistics", 200, 2.5 * MILLI, 0.25 * MILLI, 0.5 * MILLI, 0.75 * MILLI, 0.25 * MILLI
    )
    assert (model.failed, model.cache_hits, model.rows, model.executions) == (20, 100, 100, 50)
    assert model.batch_sizes == {2: 50}
    assert found.reason([("m", "")]) == ""


def test_versions_and_models_are_joined_by_their_requests() -> None:
    nothing = [pb.ModelStatistics(name=name, version=v) for name, v in (("a", "1"), ("a", "2"), ("b", "1"))]
    after = _answer(_stats("a", "1", 10, 100), _stats("a", "2", 30, 200), _stats("b", "1", 40, 1000))
    found = difference(_answer(*nothing), after)

    both = found.times([("a", "")])
    assert both is not None
    assert (both.requests, both.total_ns) == (40, 175)
    one = found.times([("a", "2")])
    assert one is not None
    assert (one.requests, one.total_ns) == (30, 200)
    # Named twice, it counts once.
    mix = found.times([("a", ""), ("a", "2"), ("b", "")])
    assert mix is not None
    assert (mix.requests, mix.total_ns) == (80, (1000 + 6000 + 40000) / 80)
    assert found.batch_sizes([("a", ""), ("b", "1")]) == {2: 40}


def test_a_version_that_was_loaded_meanwhile_begins_at_zero() -> None:
    found = difference(_answer(), _answer(_stats("m", "2", 10, 100)))
    times = found.times([("m", "")])
    assert times is not None
    assert times.requests == 10


def test_without_requests_there_is_no_mean() -> None:
    same = _answer(_stats("m", "1", 10, 100))
    found = difference(same, same)
    assert found.times([("m", "")]) is None
    assert found.reason([("m", "")]) == ""
    assert found.batch_sizes([("m", "")]) == {}


@pytest.mark.parametrize(
    ("after", "version", "reason"),
    [
        (_stats("m", "1", 5, MILLI), "", "went backwards"),
        (_stats("m", "1", 10, MILLI // 2), "1", "went backwards"),
        (_stats("m", "2", 10, MILLI), "1", "'m' version '1' was unloaded meanwhile"),
        (_stats("m", "1", 10, MILLI), "7", "does not tell of model 'm' version '7'"),
        (_stats("m", "1", 10, MILLI), "", None),
    ],
)
def test_what_cannot_be_said_has_a_reason(
    after: pb.ModelStatistics, version: str, reason: str | None
) -> None:
    found = difference(_answer(_stats("m", "1", 10, MILLI)), _answer(after))
    asked = [("m", version)]
    assert found.times(asked) is None
    if reason is None:
        assert found.reason(asked) == ""
    else:
        assert reason in found.reason(asked)


def test_times_of_different_sources_have_no_mean() -> None:
    with pytest.raises(ValueError, match="different sources"):
        mean_times([ServerTimes("traces", 1, 1, 0, 0, 0, 0), ServerTimes("Prometheus", 1, 1, 0, 0, 0, 0)])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    repository = Repository.make(tmp_path_factory.mktemp("statistics"))
    repository.onnx("scale", onnx_models.scale(3.0))
    repository.onnx("double", onnx_models.scale(2.0))
    put_ensemble(repository, "both", chain("scale", "double"))
    with serving(Path(repository.root), *LOOPBACK) as server, Client(server.target) as client:
        yield client


def _ask(client: Client) -> pb.ModelStatisticsResponse:
    answer: pb.ModelStatisticsResponse = client.inference.ModelStatistics(
        pb.ModelStatisticsRequest(), timeout=SECONDS
    )
    return answer


def test_a_real_server_tells_of_each_model(client: Client) -> None:
    client.infer(request("scale", x=floats(1, 4)))
    before = _ask(client)
    for rows in (1, 1, 3):
        client.infer(request("scale", x=np.ones((rows, 4), np.float32)))
    found = difference(before, _ask(client))

    (scale,) = found.of("scale")
    assert scale.times is not None
    assert (scale.times.requests, scale.rows, scale.executions) == (3, 5, 3)
    assert scale.batch_sizes == {1: 2, 3: 1}
    assert 0 < scale.times.compute_ns < scale.times.stages_ns <= scale.times.total_ns
    assert found.times([("double", "1")]) is None


def test_an_ensemble_has_its_own_row_and_those_of_its_members(client: Client) -> None:
    before = _ask(client)
    for _ in range(4):
        client.infer(request("both", x=floats(1, 4)))
    found = difference(before, _ask(client))

    whole, *members = (found.times([(name, "")]) for name in ("both", "scale", "double"))
    assert whole is not None
    assert whole.requests == 4
    # What its members computed is what it computed.
    assert whole.compute_ns == pytest.approx(sum(it.compute_ns for it in members if it))
    assert all(it is not None and it.requests == 4 for it in members)
    assert whole.stages_ns <= whole.total_ns
