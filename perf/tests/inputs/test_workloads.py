import numpy as np
import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.options import DataOptions
from infermesh_perf.inputs.prepare import prepare
from infermesh_perf.inputs.sample import Inputs, Sample
from infermesh_perf.inputs.summary import summarize
from infermesh_perf.inputs.workload import SEQUENCE_LENGTH, SequenceOptions, WorkloadOptions, build
from infermesh_perf.target.model import ModelSpec, TensorSpec
from support.load_models import model

ROW = Sample({"x": np.ones((1, 4), np.float32)})


def test_everything_that_the_generator_is_told() -> None:
    told = WorkloadOptions(name="n", weight=2, headers=(("a", "b"),), absolute=0.5, relative=0.25)

    workload = build(model(), "grpc", Inputs([[ROW, ROW], [ROW]], 1, "a test"), told)

    assert (workload.name, workload.weight, workload.decoupled) == ("n", 2, False)
    assert workload.path == "/inference.GRPCInferenceService/ModelInfer"
    assert [(header.name, header.value) for header in workload.headers] == [("a", "b")]
    assert [len(script.payloads) for script in workload.scripts] == [2, 1]
    assert (workload.tolerance.absolute, workload.tolerance.relative) == (0.5, 0.25)
    assert not workload.HasField("sequences")


def test_paths_over_http_are_quoted() -> None:
    named = ModelSpec("a b/c", model().inputs, model().outputs, version="3")

    workload = build(named, "http", Inputs([[ROW]], 1, ""), WorkloadOptions())

    assert workload.path == "/v2/models/a%20b%2Fc/versions/3/infer"
    assert workload.name == "a b/c"


@pytest.mark.parametrize(
    ("recorded", "asked", "length", "variation"),
    [(False, None, SEQUENCE_LENGTH, 0.2), (True, None, 0, 0), (True, 7, 7, 0.2), (False, 7, 7, 0.2)],
)
def test_lengths_of_sequences(recorded: bool, asked: int | None, length: int, variation: float) -> None:
    sent = Inputs([[ROW]], 1, "", recorded)
    sequences = SequenceOptions(length=asked, first_id=10, ids=5, concurrent=3)

    found = build(model(sequence=True), "grpc", sent, WorkloadOptions(sequences=sequences)).sequences

    assert (found.length, found.variation) == (length, variation)
    assert (found.first_id, found.ids, found.concurrent) == (10, 5, 3)


@pytest.mark.parametrize(
    "sequences",
    [
        SequenceOptions(length=0),
        SequenceOptions(first_id=0),
        SequenceOptions(ids=-1),
        SequenceOptions(concurrent=0),
        SequenceOptions(variation=1.5),
    ],
)
def test_sequences_that_cannot_be(sequences: SequenceOptions) -> None:
    with pytest.raises(SetupError, match="sequence"):
        build(model(sequence=True), "grpc", Inputs([[ROW]], 1, ""), WorkloadOptions(sequences=sequences))


def test_the_summary() -> None:
    described = ModelSpec(
        "m",
        (TensorSpec("x", "FP32", (4,)), TensorSpec("o", "INT32", (1,), optional=True)),
        (TensorSpec("y", "FP32", (1,)),),
        versions=("9", "10"),
        max_batch_size=8,
    )
    inputs = prepare(described, DataOptions(batch=2, payloads=3))
    workload = build(described, "http", inputs, WorkloadOptions(name="n"))

    found = summarize(described, inputs, workload)

    assert (found.name, found.model, found.version, found.batch) == ("n", "m", "10", 2)
    assert [(it.name, it.datatype, it.shape) for it in found.inputs] == [
        ("x", "FP32", [2, 4]),
        ("o", "INT32", [2, 1]),
    ]
    assert (found.source, found.payloads) == ("random, seed 0", 3)
    assert found.payload_bytes == len(workload.scripts[0].payloads[0].body)
