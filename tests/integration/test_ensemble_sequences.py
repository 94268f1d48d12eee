"""Sequences through ensembles: members that keep state are told which sequence a request belongs to."""

from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from support import onnx_models
from support.client import Client, ints, outputs, refused, request
from support.ensembles import Step, ensemble_config, put_ensemble
from support.gate import Gate
from support.python_models import GATED, NAMED, TALLY
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
from support.server import LOOPBACK, Serve, Server, serving
from support.triton_clients import KINDS, triton

INT32 = ("INT32", [1])
TEXT = ("STRING", [1])
CACHED = "response_cache { enable: true }"

TALLY_CONFIG = f"{TALLY_PORTS} max_batch_size: 4 sequence_batching {{ {PATIENT} {CONTROLS} }}"

#: Waits at the gate for the row 1 only.
HOLDS_ONE = GATED.replace("os.read(self.go, 1)", "rows == [[1]] and os.read(self.go, 1)")

#: Behind a model without state, a member that keeps it.
ENSEMBLES = ("through_tally", "through_direct", "through_oldest")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Ensembles over members with state of both backends and both strategies."""
    repository = Repository.make(tmp_path_factory.mktemp("ensembles"))
    repository.onnx("same", onnx_models.identity("INT32", ("n", 1)))
    repository.python("tally", TALLY, config=TALLY_CONFIG)
    model = onnx_models.accumulator()
    repository.onnx("direct", model, config=accumulator("direct { }"))
    repository.onnx("oldest", model, config=accumulator("oldest { max_candidate_sequences: 6 }"))
    repository.python("named", NAMED, config=NAMED_CONFIG)

    same = Step("same", {"x": "x"}, {"y": "between"})
    for name in ENSEMBLES:
        member = Step(name.removeprefix("through_"), {"x": "between"}, {"sum": "sum"})
        config = ensemble_config({"x": INT32}, {"sum": INT32}, same, member, max_batch_size=4)
        put_ensemble(repository, name, config)
    inner = Step("through_direct", {"x": "x"}, {"sum": "sum"})
    put_ensemble(repository, "around", ensemble_config({"x": INT32}, {"sum": INT32}, inner, max_batch_size=4))
    tally = Step("tally", {"x": "x"}, {"sum": "sum"})
    cached = ensemble_config({"x": INT32}, {"sum": INT32}, tally, max_batch_size=4, more=CACHED)
    put_ensemble(repository, "cached", cached)
    put_ensemble(
        repository,
        "both",
        ensemble_config(
            {"x": INT32},
            {"sum": INT32, "other": INT32, "whose": ("UINT64", [1])},
            tally,
            Step("oldest", {"x": "sum"}, {"sum": "other", "whose": "whose"}),
            max_batch_size=4,
        ),
    )
    texts = Step("named", {"x": "x"}, {"name": "name", "text": "text"})
    put_ensemble(
        repository,
        "texts",
        ensemble_config({"x": TEXT}, {"name": TEXT, "text": TEXT}, texts, max_batch_size=2),
    )
    cache = ("--cache-config", "local,size=1048576")
    with serving(repository.root, *LOOPBACK, *HTTP, *cache) as server:
        yield server


def bonus(ensemble: str) -> int:
    """What a START adds."""
    return 0 if ensemble == "through_tally" else 100


@pytest.mark.parametrize("ensemble", [*ENSEMBLES, "around"])
def test_each_sequence_has_a_state_of_its_own(client: Client, ensemble: str) -> None:
    check_states(client, ensemble, bonus(ensemble))


@pytest.mark.parametrize("ensemble", [*ENSEMBLES, "around"])
def test_interleaved_streams_are_never_mixed(client: Client, ensemble: str) -> None:
    check_streams(client, ensemble, bonus(ensemble))


@pytest.mark.parametrize("kind", KINDS)
def test_every_tritonclient_sends_a_sequence(zoo: Server, kind: str) -> None:
    with triton(kind, zoo) as client:
        found = []
        for turn, value in enumerate([3, 1, 4]):
            tensor = client.input("x", [1, 1], "INT32")
            tensor.set_data_from_numpy(ints([value]))
            flags = {"sequence_id": 2**40 + 1, "sequence_start": turn == 0, "sequence_end": turn == 2}
            answer = client.call("infer", "through_tally", [tensor], **flags)
            found.append(int(answer.as_numpy("sum")[0, 0]))
    assert found == [3, 4, 8]


def test_two_members_keep_a_state_of_the_same_sequence(client: Client) -> None:
    found = []
    for turn, value in enumerate([1, 2, 3]):
        answer = outputs(client.infer(step("both", 77, value, start=turn == 0, end=turn == 2)))
        found.append([int(answer[name][0, 0]) for name in ("sum", "other", "whose")])
    # The second adds up the sums of the first.
    assert found == [[1, 101, 77], [3, 104, 77], [6, 110, 77]]


def test_a_member_is_told_where_a_sequence_starts_and_ends(client: Client) -> None:
    assert total(client.infer(step("through_tally", 5, 1, start=True))) == 1
    assert total(client.infer(step("through_tally", 5, 1))) == 2
    assert total(client.infer(step("through_tally", 5, 7, start=True))) == 7
    assert total(client.infer(step("through_tally", 5, 1, end=True))) == 8
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        "in ensemble 'through_tally', model 'tally': inference request for sequence 5 to model 'tally' must "
        "specify the START flag on the first request of the sequence",
    ):
        client.infer(step("through_tally", 5, 1))


def test_a_sequence_may_go_on_beside_the_ensemble(client: Client) -> None:
    assert total(client.infer(step("through_tally", 6, 1, start=True))) == 1
    assert total(client.infer(step("tally", 6, 2))) == 3
    assert total(client.infer(step("through_tally", 6, 3, end=True))) == 6


def test_what_depends_on_a_state_is_never_given_again(client: Client) -> None:
    assert total(client.infer(step("cached", 7, 1, start=True))) == 1
    assert total(client.infer(step("cached", 7, 1))) == 2
    assert total(client.infer(step("cached", 7, 1, end=True))) == 3
    stats = client.statistics("cached").inference_stats
    assert (stats.success.count, stats.cache_hit.count) == (3, 0)


def test_a_sequence_may_have_a_name(client: Client) -> None:
    found = []
    for text, start in (("I am anna", True), ("!", False)):
        message = request("texts", x=np.array([[text.encode()]], dtype=object))
        message.parameters["sequence_id"].string_param = "anna"
        message.parameters["sequence_start"].bool_param = start
        answer = outputs(client.infer(message))
        found.append((answer["name"].tolist(), answer["text"].tolist()))
    assert found == [([[b"anna"]], [[b"I am anna"]]), ([[b"anna"]], [[b"I am anna!"]])]


def _two_rows() -> pb.ModelInferRequest:
    message = request("through_direct", x=ints([1], [2]))
    message.parameters["sequence_id"].int64_param = 3
    return message


@pytest.mark.parametrize(
    ("message", "fragment"),
    [
        (request("through_direct", x=ints([1])), "must specify a non-zero or non-empty correlation ID"),
        (step("through_direct", 0, 1, start=True), "must specify a non-zero or non-empty correlation ID"),
        (step("through_direct", "text", 1, start=True), "correlation ID in request is not an unsigned int"),
        (_two_rows(), "must specify batch-size 1 due to requirements of sequence batcher"),
    ],
)
def test_what_is_no_request_of_a_sequence_is_refused_by_the_member(
    client: Client, message: pb.ModelInferRequest, fragment: str
) -> None:
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT, "in ensemble 'through_direct', model 'direct': ", fragment
    ):
        client.infer(message)


def test_parameters_have_their_types_over_both_edges(client: Client, zoo: Server) -> None:
    message = request("through_direct", x=ints([1]))
    message.parameters["sequence_start"].int64_param = 1
    words = "invalid value type for 'sequence_start' parameter, expected bool_param"
    with refused(grpc.StatusCode.INVALID_ARGUMENT, words):
        client.infer(message)
    with Rest(zoo.http_port) as rest:
        body = json_request("INT32", [1, 1], [1], parameters={"sequence_id": 12})
        answer = rest.post("/v2/models/through_direct/infer", body)
    assert answer.status == 400
    assert "sequence 12 to model 'direct' must specify the START flag" in answer.error


def test_a_failure_in_the_middle_leaves_sequence_and_state(client: Client) -> None:
    assert total(client.infer(step("through_tally", 1, 5, start=True))) == 5
    with refused(
        grpc.StatusCode.INTERNAL, "in ensemble 'through_tally', model 'tally'", "seven is no answer"
    ):
        client.infer(step("through_tally", 1, -1))
    assert total(client.infer(step("through_tally", 1, 2, end=True))) == 7


def test_an_order_that_a_member_preserves_is_that_of_the_sequence(
    repository: Repository, serve: Serve, gate: Gate
) -> None:
    two = "max_batch_size: 1 instance_group { count: 2 } dynamic_batching { preserve_ordering: true }\n"
    repository.python("prepare", HOLDS_ONE, config=gate.config + two)
    repository.python("tally", TALLY, config=TALLY_CONFIG)
    prepare, tally = Step("prepare", {"x": "x"}, {"y": "h"}), Step("tally", {"x": "h"}, {"sum": "sum"})
    put_ensemble(
        repository, "chain", ensemble_config({"x": INT32}, {"sum": INT32}, prepare, tally, max_batch_size=1)
    )
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        first = client.start(step("chain", 5, 1, start=True))
        assert gate.next_batch().rows == [[1]]
        second = client.start(step("chain", 5, 2, end=True))
        # It is prepared before the first is.
        assert gate.next_batch().rows == [[2]]
        while client.statistics("prepare").execution_count == 0:
            client.fence()
        client.fence()
        gate.open()
        assert [total(call.result()) for call in (first, second)] == [1, 3]
