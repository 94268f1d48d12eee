"""Requests as a real server takes them, and answers it with."""

import json
from typing import Any

import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.options import DataOptions
from infermesh_perf.inputs.prepare import prepare
from infermesh_perf.inputs.request import Placement, Region, RequestOptions
from infermesh_perf.inputs.sample import Inputs, Sample
from infermesh_perf.inputs.workload import WorkloadOptions, build
from infermesh_perf.target.api import Api
from infermesh_perf.target.model import ModelSpec, TensorSpec, describe
from infermesh_perf.target.tensors import DTYPES, from_raw, to_raw
from support.load_models import model


def first(workload: load_pb2.Workload) -> load_pb2.Payload:
    return workload.scripts[0].payloads[0]


def one(**tensors: Any) -> Inputs:
    return Inputs([[Sample({name: np.asarray(value) for name, value in tensors.items()})]], 1, "a test")


def options(**request: Any) -> WorkloadOptions:
    return WorkloadOptions(request=RequestOptions(**request))


def header(payload: load_pb2.Payload) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(payload.body[: payload.json_length or None])
    return found


@pytest.mark.parametrize("datatype", DTYPES)
def test_every_datatype_is_answered_as_it_was_sent(api: Api, datatype: str) -> None:
    described = describe(api, f"identity_{datatype.lower()}")
    inputs = prepare(described, DataOptions(batch=2))
    workload = build(described, api.target.address.protocol, inputs, options())

    answer = api.infer(workload.path, first(workload))

    assert (answer.outputs[0].name, list(answer.outputs[0].shape)) == ("y", [2, 3])
    assert answer.raw_output_contents[0] == to_raw(inputs.samples[0].inputs["x"])


@pytest.mark.parametrize("api", ["http"], indirect=True)
@pytest.mark.parametrize("datatype", [name for name in DTYPES if name not in ("FP16", "BF16")])
def test_every_datatype_as_json(api: Api, datatype: str) -> None:
    described = describe(api, f"identity_{datatype.lower()}")
    inputs = prepare(described, DataOptions())
    workload = build(described, "http", inputs, options(binary=False))

    answer = api.infer(workload.path, first(workload))

    assert first(workload).json_length == 0
    assert answer.raw_output_contents[0] == to_raw(inputs.samples[0].inputs["x"])


def test_only_the_outputs_that_were_asked_for(api: Api) -> None:
    described = describe(api, "two")
    inputs = prepare(described, DataOptions())
    for asked in ((), ("z",), ("z", "y")):
        workload = build(described, api.target.address.protocol, inputs, options(outputs=asked))
        answer = api.infer(workload.path, first(workload))
        assert [output.name for output in answer.outputs] == list(asked or ("y", "z"))
        assert all(answer.raw_output_contents)


def test_a_version_and_a_model_without_batches(api: Api) -> None:
    described = describe(api, "fixed", "1")
    workload = build(described, api.target.address.protocol, prepare(described, DataOptions()), options())

    answer = api.infer(workload.path, first(workload))

    assert (answer.model_version, list(answer.outputs[0].shape)) == ("1", [2, 3])
    if api.target.address.protocol == "http":
        assert workload.path == "/v2/models/fixed/versions/1/infer"
    else:
        assert pb.ModelInferRequest.FromString(first(workload).body).model_version == "1"


def test_an_optional_input_is_left_out(api: Api) -> None:
    described = describe(api, "biased")
    x = np.ones((1, 4), np.float32)
    workload = build(described, api.target.address.protocol, one(x=x), options())

    answer = api.infer(workload.path, first(workload))

    assert from_raw("FP32", (4,), answer.raw_output_contents[0]).tolist() == [101] * 4


def test_a_sequence_of_its_own(api: Api) -> None:
    described = describe(api, "tally")
    for binary in (True, False) if api.target.address.protocol == "http" else (True,):
        workload = build(
            described, api.target.address.protocol, one(x=np.array([[5]], np.int32)), options(binary=binary)
        )
        answer = api.infer(workload.path, first(workload), sequence=7)
        assert from_raw("INT32", (1,), answer.raw_output_contents[0]).tolist() == [5]


@pytest.mark.parametrize("api", ["grpc"], indirect=True)
def test_a_stream_of_a_decoupled_model(api: Api) -> None:
    described = describe(api, "each")
    inputs = one(x=np.array([[3, 1, 4]], np.int32))
    with pytest.raises(SetupError, match="is decoupled"):
        build(described, "grpc", inputs, options())
    workload = build(described, "grpc", inputs, options(streaming=True))
    request = pb.ModelInferRequest.FromString(first(workload).body)

    answer = api.infer(workload.path, first(workload))

    assert workload.decoupled
    assert workload.path == "/inference.GRPCInferenceService/ModelStreamInfer"
    assert request.parameters["triton_enable_empty_final_response"].bool_param
    assert from_raw("INT32", (1,), answer.raw_output_contents[0]).tolist() == [3]


@pytest.mark.parametrize("api", ["grpc"], indirect=True)
def test_a_stream_of_another_model(api: Api) -> None:
    described = describe(api, "fixed")
    workload = build(described, "grpc", prepare(described, DataOptions()), options(streaming=True))

    assert api.infer(workload.path, first(workload)).outputs[0].name == "y"
    assert not workload.decoupled
    assert not pb.ModelInferRequest.FromString(first(workload).body).parameters


def test_grpc_has_raw_contents_in_the_models_order() -> None:
    two = model(TensorSpec("a", "INT32", (1,)), TensorSpec("b", "BYTES", (1,)))
    inputs = one(b=np.array([[b"xyz"]], object), a=np.array([[7]], np.int32))

    request = pb.ModelInferRequest.FromString(first(build(two, "grpc", inputs, options())).body)

    assert [(it.name, it.datatype, list(it.shape)) for it in request.inputs] == [
        ("a", "INT32", [1, 1]),
        ("b", "BYTES", [1, 1]),
    ]
    assert list(request.raw_input_contents) == [b"\7\0\0\0", b"\3\0\0\0xyz"]
    assert not request.outputs


@pytest.mark.parametrize(
    ("request_options", "parameters", "outputs"),
    [
        ({}, {"binary_data_output": True}, None),
        ({"outputs": ("y",)}, {}, [{"name": "y", "parameters": {"binary_data": True}}]),
        ({"binary": False}, {}, None),
        ({"binary": False, "outputs": ("y",)}, {}, [{"name": "y"}]),
    ],
)
def test_http_bodies_can_take_further_parameters(
    request_options: dict[str, Any], parameters: dict[str, Any], outputs: Any
) -> None:
    inputs = one(x=np.array([[1, 2, 3, 4]], np.float32))

    payload = first(build(model(), "http", inputs, options(**request_options)))

    assert header(payload)["parameters"] == parameters
    assert header(payload).get("outputs") == outputs
    assert payload.body[: payload.insert_at].endswith(b'"parameters":{')
    added = b'"sequence_id":5' + (b"" if payload.body[payload.insert_at] == ord("}") else b",")
    filled = payload.body[: payload.insert_at] + added + payload.body[payload.insert_at :]
    end = payload.json_length + len(added) if payload.json_length else None
    assert json.loads(filled[:end])["parameters"] == {"sequence_id": 5, **parameters}
    (tensor,) = header(payload)["inputs"]
    if request_options.get("binary", True):
        assert tensor["parameters"] == {"binary_data_size": 16}
        assert payload.body[payload.json_length :] == np.array([1, 2, 3, 4], "<f4").tobytes()
    else:
        assert tensor["data"] == [1, 2, 3, 4]


def test_expected_outputs_go_along() -> None:
    sample = Sample({"x": np.ones((1, 4), np.float32)}, {"y": np.array([[1, 2]], np.float32)})
    for protocol in ("grpc", "http"):
        workload = build(model(), protocol, Inputs([[sample]], 1, "a test"), options())
        (wanted,) = first(workload).expected
        assert (wanted.name, wanted.datatype, list(wanted.shape)) == ("y", "FP32", [1, 2])
        assert wanted.data == np.array([1, 2], "<f4").tobytes()


@pytest.mark.parametrize(
    ("array", "datatype", "said"),
    [
        (np.array([[1]], np.float16), "FP16", "FP16, which JSON has no form for"),
        (np.array([[1]], np.uint16), "BF16", "BF16, which JSON has no form for"),
        (np.array([[np.nan]], np.float32), "FP32", "values that are no numbers"),
        (np.array([[b"\xff"]], object), "BYTES", "not UTF-8 text"),
    ],
)
def test_what_json_cannot_say(array: Any, datatype: str, said: str) -> None:
    of_type = model(TensorSpec("x", datatype, (1,)))
    with pytest.raises(SetupError, match=said):
        build(of_type, "http", one(x=array), options(binary=False))
    assert header(first(build(of_type, "http", one(x=array), options())))["inputs"]


def test_requests_that_do_not_fit() -> None:
    inputs = one(x=np.ones((1, 4), np.float32))
    expecting = Inputs([[Sample(inputs.samples[0].inputs, {"y": np.ones((1, 1), np.float32)})]], 1, "")
    two = model(outputs=(TensorSpec("y", "FP32", (1,)), TensorSpec("z", "FP32", (1,))))
    placed = [[Placement(outputs={"y": Region("r", 0, 4)})]]

    def check(said: str, of_model: ModelSpec, protocol: Any, sent: Inputs, **more: Any) -> None:
        with pytest.raises(SetupError, match=said):
            build(of_model, protocol, sent, options(**more))

    check("output 'q' is not one of model 'm', expected y", model(), "grpc", inputs, outputs=("q",))
    check("needs gRPC", model(), "http", inputs, streaming=True)
    check("need HTTP", model(), "grpc", inputs, binary=False)
    check("not among those asked for", two, "grpc", expecting, outputs=("z",))
    with pytest.raises(SetupError, match="outputs in shared memory"):
        build(model(), "grpc", expecting, options(), placed)
    with pytest.raises(SetupError, match="weight 0"):
        build(model(), "grpc", inputs, WorkloadOptions(weight=0))
