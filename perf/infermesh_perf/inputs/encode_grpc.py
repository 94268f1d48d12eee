"""Samples as ModelInferRequests."""

from __future__ import annotations

from infermesh.proto.inference import grpc_service_pb2 as pb

from infermesh_perf.inputs.request import Placement, Region, RequestOptions, check_size, requested_outputs
from infermesh_perf.inputs.sample import Sample
from infermesh_perf.target.model import ModelSpec
from infermesh_perf.target.tensors import to_raw

# Either kind has them, under the same names.
_Tensor = pb.ModelInferRequest.InferInputTensor | pb.ModelInferRequest.InferRequestedOutputTensor


def encode(model: ModelSpec, sample: Sample, options: RequestOptions, placement: Placement) -> bytes:
    """A serialised request with raw contents, in the order of the model's inputs.

    Raises SetupError for one that is larger than a message may be.
    """
    request = pb.ModelInferRequest(model_name=model.name, model_version=model.version)
    for spec in model.inputs:
        if spec.name not in sample.inputs:
            continue
        array = sample.inputs[spec.name]
        tensor = request.inputs.add(name=spec.name, datatype=spec.datatype, shape=array.shape)
        if spec.name in placement.inputs:
            _place(tensor, placement.inputs[spec.name])
        else:
            request.raw_input_contents.append(to_raw(array))
    for name in requested_outputs(options, placement):
        output = request.outputs.add(name=name)
        if name in placement.outputs:
            _place(output, placement.outputs[name])
    if model.decoupled:
        # Otherwise nothing tells that a request has had its last answer.
        request.parameters["triton_enable_empty_final_response"].bool_param = True
    check_size(model, sum(map(len, request.raw_input_contents)))
    return request.SerializeToString()


def _place(tensor: _Tensor, region: Region) -> None:
    tensor.parameters["shared_memory_region"].string_param = region.name
    tensor.parameters["shared_memory_byte_size"].int64_param = region.byte_size
    if region.offset:
        tensor.parameters["shared_memory_offset"].int64_param = region.offset
