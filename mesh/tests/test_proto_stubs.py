"""A call through the stubs: a real server and client, one unary call and one stream."""

from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.inference import grpc_service_pb2_grpc as service


class Echo(service.GRPCInferenceServiceServicer):
    """Answers with what it was sent."""

    def ModelInfer(  # noqa: N802
        self,
        request: pb.ModelInferRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> pb.ModelInferResponse:
        return pb.ModelInferResponse(id=request.id, raw_output_contents=request.raw_input_contents)

    def ModelStreamInfer(  # noqa: N802
        self, request_iterator: Iterator[pb.ModelInferRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ModelStreamInferResponse]:
        for request in request_iterator:
            yield pb.ModelStreamInferResponse(infer_response=self.ModelInfer(request, context))


@pytest.fixture
def address() -> Iterator[str]:
    echo = Echo()  # type: ignore[abstract]  # The methods it lacks answer UNIMPLEMENTED, which is tested below.
    server = grpc.server(futures.ThreadPoolExecutor(1))
    service.add_GRPCInferenceServiceServicer_to_server(echo, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_unary_and_stream(address: str) -> None:
    requests = [
        pb.ModelInferRequest(id=str(number), raw_input_contents=[bytes([number])]) for number in range(3)
    ]
    with grpc.insecure_channel(address) as channel:
        stub = service.GRPCInferenceServiceStub(channel)
        answer = stub.ModelInfer(requests[2])
        streamed = [each.infer_response for each in stub.ModelStreamInfer(iter(requests))]
    assert answer == pb.ModelInferResponse(id="2", raw_output_contents=[b"\x02"])
    assert [(each.id, each.raw_output_contents[0]) for each in streamed] == [
        ("0", b"\0"),
        ("1", b"\x01"),
        ("2", b"\x02"),
    ]


def test_a_method_that_is_not_served_is_unimplemented(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = service.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ServerLive(pb.ServerLiveRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
