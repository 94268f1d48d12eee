"""Requests and configurations of models that serve sequences."""

from infermesh.proto.inference import grpc_service_pb2 as pb

from support.client import Client, ints, outputs, request

#: What a ``TALLY`` model takes and gives.
TALLY_PORTS = """
backend: "python"
input { name: "x" data_type: TYPE_INT32 dims: 1 }
output { name: "sum" data_type: TYPE_INT32 dims: 1 }
"""

#: No pause of a busy machine ends a sequence.
PATIENT = "max_sequence_idle_microseconds: 60000000"

#: What it is told about each row.
CONTROLS = """
  control_input { name: "START" control { kind: CONTROL_SEQUENCE_START bool_false_true: [ false, true ] } }
  control_input { name: "END" control { kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ] } }
  control_input { name: "READY" control { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } }
  control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }
"""

#: State that the server keeps.
ACCUMULATOR = """
max_batch_size: 4
sequence_batching {{
  max_sequence_idle_microseconds: 60000000
  {more}
  control_input {{ name: "START" control {{ kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] }} }}
  control_input {{ name: "READY" control {{ kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] }} }}
  control_input {{ name: "CORRID" control {{ kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 }} }}
  state {{
    input_name: "was" output_name: "is" data_type: TYPE_INT32 dims: 1
    initial_state {{ name: "first" data_type: TYPE_INT32 dims: 1 {initial} }}
  }}
}}
{end}
"""

#: Names for ids, text for state, which is also an output.
NAMED_CONFIG = f"""
backend: "python"
max_batch_size: 2
input {{ name: "x" data_type: TYPE_STRING dims: 1 }}
output {{ name: "name" data_type: TYPE_STRING dims: 1 }}
output {{ name: "text" data_type: TYPE_STRING dims: 1 }}
sequence_batching {{
  {PATIENT}
  control_input {{ name: "ID" control {{ kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING }} }}
  state {{ input_name: "was" output_name: "text" data_type: TYPE_STRING dims: 1 }}
}}
"""


def accumulator(more: str = "", initial: str = "zero_data: true", end: str = "") -> str:
    """The configuration of ``onnx_models.accumulator``."""
    return ACCUMULATOR.format(more=more, initial=initial, end=end)


def step(
    model: str, sequence: int | str, value: int, *, start: bool = False, end: bool = False, id_: str = ""
) -> pb.ModelInferRequest:
    """One request of a sequence."""
    message = request(model, id_=id_, x=ints([value]))
    if isinstance(sequence, int):
        message.parameters["sequence_id"].int64_param = sequence
    else:
        message.parameters["sequence_id"].string_param = sequence
    message.parameters["sequence_start"].bool_param = start
    message.parameters["sequence_end"].bool_param = end
    return message


def total(response: pb.ModelInferResponse) -> int:
    """The sum that a model answers."""
    return int(outputs(response)["sum"][0, 0])


def check_states(client: Client, model: str, bonus: int) -> None:
    """Four sequences that take turns are each added up by themselves; their start counts `bonus`."""
    sums = dict.fromkeys(range(1, 5), bonus)
    for turn in range(6):
        for sequence in sums:
            message = step(model, sequence, 10 * sequence + turn, start=turn == 0, end=turn == 5)
            sums[sequence] += 10 * sequence + turn
            assert total(client.infer(message)) == sums[sequence]


def check_streams(client: Client, model: str, bonus: int) -> list[tuple[int, pb.ModelInferResponse]]:
    """The same of thirty on one stream that waits for no answer; returns each answer with its sequence."""
    # More sequences than slots: the rest waits until others have ended.
    sequences, length = range(100, 130), 8
    requests = [
        step(model, sequence, turn + 1, start=turn == 0, end=turn == length - 1, id_=f"{sequence} {turn}")
        for turn in range(length)
        for sequence in sequences
    ]
    answers = list(client.stream(requests))
    assert [answer.error_message for answer in answers] == [""] * len(requests)
    found = []
    for answer in answers:
        sequence, turn = map(int, answer.infer_response.id.split())
        assert total(answer.infer_response) == bonus + (turn + 1) * (turn + 2) // 2
        found.append((sequence, answer.infer_response))
    return found
