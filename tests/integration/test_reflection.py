"""Server reflection, v1 and v1alpha: what grpcurl needs to know is what is served."""

from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from infermesh.proto.grpc_reflection_v1 import reflection_pb2, reflection_pb2_grpc
from infermesh.proto.grpc_reflection_v1alpha import reflection_pb2 as alpha_pb2
from infermesh.proto.grpc_reflection_v1alpha import reflection_pb2_grpc as alpha_pb2_grpc
from infermesh.proto.inference import grpc_service_pb2
from support.client import SECONDS, Client

SERVICES = {
    "inference.GRPCInferenceService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}


class Reflection:
    """One version of the protocol; both have the same messages."""

    def __init__(self, messages: Any, stub: Any) -> None:
        self._request = messages.ServerReflectionRequest
        self._stub = stub

    def ask(self, *questions: dict[str, Any]) -> Sequence[Any]:
        requests = [self._request(**question) for question in questions]
        return list(self._stub.ServerReflectionInfo(iter(requests), timeout=SECONDS))

    def files(self, **question: str) -> list[descriptor_pb2.FileDescriptorProto]:
        (answer,) = self.ask(question)
        return [
            descriptor_pb2.FileDescriptorProto.FromString(each)
            for each in answer.file_descriptor_response.file_descriptor_proto
        ]


@pytest.fixture(params=["v1", "v1alpha"])
def reflection(client: Client, request: pytest.FixtureRequest) -> Reflection:
    if request.param == "v1":
        return Reflection(reflection_pb2, reflection_pb2_grpc.ServerReflectionStub(client.channel))
    return Reflection(alpha_pb2, alpha_pb2_grpc.ServerReflectionStub(client.channel))


def test_it_lists_every_service(reflection: Reflection) -> None:
    (answer,) = reflection.ask({"list_services": "*"})
    assert {service.name for service in answer.list_services_response.service} == SERVICES


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_descriptors_of_a_service_are_whole(reflection: Reflection, service: str) -> None:
    pool: Any = descriptor_pool.DescriptorPool()
    # Imports come after what imports them; a pool wants them the other way round.
    for file in reversed(reflection.files(file_containing_symbol=service)):
        pool.Add(file)
    found = pool.FindServiceByName(service)
    assert found.methods
    for method in found.methods:
        assert method.input_type.full_name
        assert method.output_type.full_name


def test_the_inference_service_is_the_one_that_stubs_know(reflection: Reflection) -> None:
    pool: Any = descriptor_pool.DescriptorPool()
    for file in reversed(reflection.files(file_containing_symbol="inference.GRPCInferenceService")):
        pool.Add(file)
    served = pool.FindServiceByName("inference.GRPCInferenceService")
    known = grpc_service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert {method.name for method in served.methods} == {method.name for method in known.methods}


@pytest.mark.parametrize(
    "symbol",
    [
        "inference.ModelInferRequest",
        "inference.ModelInferRequest.InferInputTensor",
        "inference.GRPCInferenceService.ModelInfer",
        "inference.DataType",
        "grpc.health.v1.HealthCheckResponse.ServingStatus",
    ],
)
def test_a_file_is_found_by_any_symbol_in_it(reflection: Reflection, symbol: str) -> None:
    (first, *_) = reflection.files(file_containing_symbol=symbol)
    assert symbol.startswith(f"{first.package}.")


def test_a_file_is_found_by_its_name(reflection: Reflection) -> None:
    (by_symbol, *_) = reflection.files(file_containing_symbol="inference.ModelInferRequest")
    (by_name, *_) = reflection.files(file_by_filename=by_symbol.name)
    assert by_name == by_symbol


@pytest.mark.parametrize(
    "question", [{"file_containing_symbol": "inference.Absent"}, {"file_by_filename": "absent.proto"}]
)
def test_what_is_not_there_is_an_error_and_the_stream_goes_on(
    reflection: Reflection, question: dict[str, str]
) -> None:
    first, second = reflection.ask(question, {"list_services": "*"})
    assert first.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert first.original_request == reflection._request(**question)
    assert second.list_services_response.service
