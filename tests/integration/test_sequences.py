"""Sequences: their requests run in order, in their own slot, with their own state, and no other's."""

import queue
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import SECONDS, Client, ints, outputs, refused, request
from support.python_models import NAMED, TALLY
from support.repository import Repository
from support.rest import HTTP, Rest, json_request
from support.sequences import (
    CONTROLS,
    NAMED_CONFIG,
    PATIENT,
    TALLY_PORTS,
    accumulator,
    check_states,
    check_streams,
    step,
    total,
)
from support.server import LOOPBACK, Server, serving
from support.triton_clients import KINDS
from support.triton_clients import triton as triton_of


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Models of both backends and strategies, and one without sequences."""
    repository = Repository.make(tmp_path_factory.mktemp("sequences"))
    model = onnx_models.accumulator()
    repository.onnx("direct", model, config=accumulator("direct { }"))
    repository.onnx("oldest", model, config=accumulator("oldest { max_candidate_sequences: 6 }"))
    repository.onnx("many", model, config=accumulator(end="instance_group { count: 3 }"))
    repository.onnx("from_file", model, config=accumulator(initial='data_file: "seven"'))
    folder = repository.root / "from_file" / "initial_state"
    folder.mkdir()
    (folder / "seven").write_bytes(np.int32(7).tobytes())
    seen = 'output { name: "is" data_type: TYPE_INT32 dims: 1 }\n'
    repository.onnx("seen", model, config=accumulator(end=seen))
    repository.python(
        "tally", TALLY, config=f"{TALLY_PORTS} max_batch_size: 4 sequence_batching {{ {PATIENT} {CONTROLS} }}"
    )
    repository.python("named", NAMED, config=NAMED_CONFIG)
    repository.onnx("plain", onnx_models.identity("INT32", ("n", 1)))
    with serving(repository.root, *LOOPBACK, *HTTP) as server:
        yield server


#: What a START adds.
BONUS = {"tally": 0}


@pytest.mark.parametrize("model", ["direct", "oldest", "many", "tally"])
def test_each_sequence_has_a_state_of_its_own(client: Client, model: str) -> None:
    check_states(client, model, BONUS.get(model, 100))


@pytest.mark.parametrize("model", ["direct", "oldest", "many", "tally"])
def test_interleaved_streams_are_never_mixed(client: Client, model: str) -> None:
    for sequence, answer in check_streams(client, model, BONUS.get(model, 100)):
        found = outputs(answer)
        if "whose" in found:
            assert found["whose"].tolist() == [[sequence]]


def test_tritonclient_streams_a_sequence(zoo: Server) -> None:
    received: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    with triton.InferenceServerClient(zoo.target) as client:
        client.start_stream(lambda result, error: received.put((result, error)))
        for turn, value in enumerate([3, 1, 4, 1, 5]):
            tensor = triton.InferInput("x", [1, 1], "INT32")
            tensor.set_data_from_numpy(ints([value]))
            client.async_stream_infer(
                "direct", [tensor], sequence_id=2**40 + 1, sequence_start=turn == 0, sequence_end=turn == 4
            )
        found = []
        for _ in range(5):
            result, error = received.get(timeout=SECONDS)
            assert error is None
            found.append(int(result.as_numpy("sum")[0, 0]))
            assert result.as_numpy("whose").tolist() == [[2**40 + 1]]
        client.stop_stream()
    assert found == [103, 104, 108, 109, 114]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sequence", [77, 2**63 - 1])
def test_every_tritonclient_sends_a_sequence(zoo: Server, kind: str, sequence: int) -> None:
    with triton_of(kind, zoo) as client:
        found = []
        for turn, value in enumerate([3, 1, 4]):
            tensor = client.input("x", [1, 1], "INT32")
            tensor.set_data_from_numpy(ints([value]))
            answer = client.call(
                "infer",
                "tally",
                [tensor],
                sequence_id=sequence,
                sequence_start=turn == 0,
                sequence_end=turn == 2,
            )
            found.append(int(answer.as_numpy("sum")[0, 0]))
    assert found == [3, 4, 8]


def test_a_start_in_the_middle_begins_anew(client: Client) -> None:
    assert total(client.infer(step("direct", 5, 1, start=True))) == 101
    assert total(client.infer(step("direct", 5, 1))) == 102
    assert total(client.infer(step("direct", 5, 7, start=True))) == 107
    assert total(client.infer(step("direct", 5, 1, end=True))) == 108


def test_the_first_state_may_come_from_a_file(client: Client) -> None:
    assert total(client.infer(step("from_file", 5, 1, start=True))) == 108
    assert total(client.infer(step("from_file", 5, 1, end=True))) == 109


def test_a_state_is_seen_where_it_is_declared_as_an_output(client: Client) -> None:
    found = outputs(client.infer(step("seen", 5, 1, start=True, end=True)))
    assert {name: array.tolist() for name, array in found.items()} == {
        "is": [[101]],
        "whose": [[5]],
        "sum": [[101]],
    }


def test_controls_and_states_are_not_for_clients(client: Client) -> None:
    metadata = client.inference.ModelMetadata(pb.ModelMetadataRequest(name="direct"), timeout=SECONDS)
    assert [tensor.name for tensor in metadata.inputs] == ["x"]
    assert [tensor.name for tensor in metadata.outputs] == ["whose", "sum"]
    found = outputs(client.infer(step("direct", 6, 1, start=True, end=True)))
    assert list(found) == ["whose", "sum"]
    for name in ("READY", "was"):
        message = step("direct", 6, 1, start=True)
        message.inputs.add(name=name, datatype="INT32", shape=[1, 1])
        message.raw_input_contents.append(bytes(4))
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "expected 1 inputs but got 2 inputs", f"'{name}'"):
            client.infer(message)
    message = step("direct", 6, 1, start=True)
    message.outputs.add(name="is")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference output 'is' for model 'direct'"):
        client.infer(message)


def test_the_configuration_is_told_as_it_was_given(client: Client) -> None:
    config = client.inference.ModelConfig(pb.ModelConfigRequest(name="oldest"), timeout=SECONDS).config
    assert config.sequence_batching.oldest.max_candidate_sequences == 6
    assert [it.name for it in config.sequence_batching.control_input] == ["START", "READY", "CORRID"]
    assert [it.input_name for it in config.sequence_batching.state] == ["was"]


@pytest.mark.parametrize(
    ("message", "fragment"),
    [
        (
            step("direct", 9, 1),
            "inference request for sequence 9 to model 'direct' must specify the START flag on the first "
            "request of the sequence",
        ),
        (
            step("direct", 0, 1, start=True),
            "inference request to model 'direct' must specify a non-zero or non-empty correlation ID",
        ),
        (
            step("direct", "", 1, start=True),
            "inference request to model 'direct' must specify a non-zero or non-empty correlation ID",
        ),
        (
            request("direct", x=ints([1])),
            "inference request to model 'direct' must specify a non-zero or non-empty correlation ID",
        ),
        (step("direct", "text", 1, start=True), "correlation ID in request is not an unsigned int"),
        (
            step("direct", "x" * 129, 1, start=True),
            "string correlation ID cannot be longer than 128 characters",
        ),
    ],
)
def test_what_is_no_request_of_a_sequence_is_refused(
    client: Client, message: pb.ModelInferRequest, fragment: str
) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, fragment):
        client.infer(message)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("sequence_id", "int64_param or string_param"),
        ("sequence_start", "bool_param"),
        ("sequence_end", "bool_param"),
    ],
)
def test_parameters_have_their_types_whatever_the_model(
    client: Client, parameter: str, expected: str
) -> None:
    message = request("plain", x=ints([1]))
    message.parameters[parameter].double_param = 1.5
    words = f"invalid value type for '{parameter}' parameter, expected {expected}"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, words):
        client.infer(message)


def test_a_model_without_sequences_takes_no_notice(client: Client) -> None:
    assert outputs(client.infer(step("plain", 3, 8)))["y"].tolist() == [[8]]


def test_a_request_of_a_sequence_has_one_row(client: Client) -> None:
    message = request("direct", x=ints([1], [2]))
    message.parameters["sequence_id"].int64_param = 3
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT, "must specify batch-size 1 due to requirements of sequence"
    ):
        client.infer(message)


def test_http_refuses_in_the_same_words(zoo: Server) -> None:
    with Rest(zoo.http_port) as rest:
        body = json_request("INT32", [1, 1], [1], parameters={"sequence_id": 12})
        answer = rest.post("/v2/models/direct/infer", body)
    assert answer.status == 400
    assert "sequence 12 to model 'direct' must specify the START flag" in answer.error


def spoken(name: str | int, text: str, *, start: bool = False) -> pb.ModelInferRequest:
    """A request of a sequence of texts."""
    message = request("named", x=np.array([[text.encode()]], dtype=object))
    if isinstance(name, str):
        message.parameters["sequence_id"].string_param = name
    else:
        message.parameters["sequence_id"].uint64_param = name
    message.parameters["sequence_start"].bool_param = start
    return message


def test_sequences_have_names_and_texts(client: Client) -> None:
    for name in ("anna", "bo"):
        found = outputs(client.infer(spoken(name, f"I am {name}", start=True)))
        assert (found["name"].tolist(), found["text"].tolist()) == (
            [[name.encode()]],
            [[f"I am {name}".encode()]],
        )
    # The second stands in the second row; the first has nothing to say meanwhile.
    for more in (", you", " see"):
        client.infer(spoken("bo", more))
    assert outputs(client.infer(spoken("anna", "!")))["text"].tolist() == [[b"I am anna!"]]
    assert outputs(client.infer(spoken("bo", "?")))["text"].tolist() == [[b"I am bo, you see?"]]
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "correlation ID in request is not a string"):
        client.infer(spoken(7, "who?", start=True))


def test_a_failure_in_the_middle_leaves_sequence_and_state(client: Client) -> None:
    assert total(client.infer(step("tally", 1, 5, start=True))) == 5
    with refused(grpc.StatusCode.INTERNAL, "tally", "seven is no answer"):
        client.infer(step("tally", 1, -1))
    assert total(client.infer(step("tally", 1, 2, end=True))) == 7


def test_requests_are_counted_without_the_rows_of_nobody(client: Client) -> None:
    before = client.statistics("direct")
    for sequence in range(201, 204):
        client.infer(step("direct", sequence, 1, start=True))
    for sequence in range(203, 200, -1):
        client.infer(step("direct", sequence, 1, end=True))
    after = client.statistics("direct")
    assert after.inference_count - before.inference_count == 6
    assert after.inference_stats.success.count - before.inference_stats.success.count == 6
