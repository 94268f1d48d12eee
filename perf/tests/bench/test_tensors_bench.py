from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh_perf.bench import tensors
from infermesh_perf.bench.ways import REGION, grpc_body, shared_body
from infermesh_perf.bodies import PREFIX
from infermesh_perf.models import identity


def test_the_model_answers_its_input(tmp_path: Path) -> None:
    model = identity(tensors.ELEMENTS)
    session = onnxruntime.InferenceSession(str(model.save(tmp_path)), providers=["CPUExecutionProvider"])
    values = model.sample(1)

    assert values.nbytes == tensors.TENSOR_BYTES
    assert np.array_equal(session.run(None, {model.input_name: values})[0], values)


def test_a_shared_body_says_where_and_carries_nothing() -> None:
    model = identity(tensors.ELEMENTS)

    request = pb.ModelInferRequest.FromString(shared_body(model, 1)[PREFIX.size :])

    (tensor,), (wanted,) = request.inputs, request.outputs
    for each, offset in ((tensor, 0), (wanted, tensors.TENSOR_BYTES)):
        assert each.parameters["shared_memory_region"].string_param == REGION
        assert each.parameters["shared_memory_byte_size"].int64_param == tensors.TENSOR_BYTES
        assert each.parameters["shared_memory_offset"].int64_param == offset
    assert not request.raw_input_contents
    assert len(grpc_body(model, 1)) > tensors.TENSOR_BYTES


@pytest.mark.usefixtures("no_h2load")
def test_the_lock_of_triton_is_missed_by_name(
    tmp_path: Path, exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(tensors.main, "--root", str(tmp_path)) == 2
    assert "root of the repository" in capsys.readouterr().err
