import struct

import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh_perf.bodies import decode_answer, frame, infer_request
from infermesh_perf.models import MODELS

MODEL = MODELS["perceptron"]


def test_request_carries_shape_and_raw_values() -> None:
    values = MODEL.sample(3)

    request = pb.ModelInferRequest.FromString(infer_request(MODEL, values))

    assert request.model_name == "perceptron"
    assert [(t.name, t.datatype, list(t.shape)) for t in request.inputs] == [("x", "FP32", [3, 64])]
    assert [t.name for t in request.outputs] == ["y"]
    assert request.raw_input_contents[0] == values.tobytes()


def test_frame_is_uncompressed_with_its_length_big_endian() -> None:
    framed = frame(b"abc")

    assert struct.unpack(">BI", framed[:5]) == (0, 3)
    assert framed[5:] == b"abc"


def _answer(name: str) -> pb.ModelInferResponse:
    answer = pb.ModelInferResponse(model_name=MODEL.name)
    answer.outputs.add(name=name, datatype="FP32", shape=[1, 2])
    return answer


def test_reads_raw_answers() -> None:
    answer = _answer("y")
    answer.raw_output_contents.append(np.array([1, 2], dtype="<f4").tobytes())

    assert decode_answer(answer.SerializeToString(), MODEL).tolist() == [[1, 2]]


def test_reads_typed_answers() -> None:
    answer = _answer("y")
    answer.outputs[0].contents.fp32_contents.extend([1, 2])

    assert decode_answer(answer.SerializeToString(), MODEL).tolist() == [[1, 2]]


def test_an_answer_without_the_output_is_an_error() -> None:
    with pytest.raises(ValueError, match="not 'y'"):
        decode_answer(_answer("z").SerializeToString(), MODEL)
