"""Our definitions against those that the clients in the field are built with."""

from collections.abc import Iterator

import pytest
from google.protobuf import json_format, text_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import Message
from infermesh.proto.grpc_health_v1 import health_pb2
from infermesh.proto.grpc_reflection_v1 import reflection_pb2
from infermesh.proto.grpc_reflection_v1alpha import reflection_pb2 as reflection_alpha_pb2
from infermesh.proto.inference import grpc_service_pb2, model_config_pb2
from tritonclient.grpc import model_config_pb2 as their_config
from tritonclient.grpc import service_pb2 as their_service

FILES = [
    pytest.param(model_config_pb2.DESCRIPTOR, their_config.DESCRIPTOR, id="model_config"),
    pytest.param(grpc_service_pb2.DESCRIPTOR, their_service.DESCRIPTOR, id="grpc_service"),
]

CONFIG = """
    name: "digits" backend: "onnxruntime" max_batch_size: 64
    input { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 1, 8, 8 ] reshape { shape: [ 64 ] } }
    input { name: "note" data_type: TYPE_STRING dims: [ -1 ] optional: true allow_ragged_batch: true }
    output { name: "y" data_type: TYPE_BF16 dims: [ 10 ] label_filename: "labels.txt" }
    batch_input { kind: BATCH_ITEM_SHAPE target_name: "s" data_type: TYPE_INT32 source_input: "note" }
    version_policy { specific { versions: [ 1, 3 ] } }
    instance_group { count: 2 kind: KIND_GPU gpus: [ 0, 1 ]
      rate_limiter { resources { name: "r" count: 4 } } }
    optimization {
      graph { level: 1 }
      cuda { graphs: true graph_spec { batch_size: 8 input { key: "x" value { dim: [ 64 ] } } } }
      execution_accelerators { gpu_execution_accelerator { name: "tensorrt"
        parameters { key: "k" value: "v" } } }
    }
    dynamic_batching {
      preferred_batch_size: [ 8, 32 ] max_queue_delay_microseconds: 200 priority_levels: 2
      priority_queue_policy { key: 2 value { timeout_action: DELAY max_queue_size: 10 } }
    }
    parameters { key: "threads" value { string_value: "2" } }
    model_warmup { name: "w" batch_size: 8
      inputs { key: "x" value { data_type: TYPE_FP32 zero_data: true } } }
    model_transaction_policy { decoupled: false } response_cache { enable: true }
    model_metrics { metric_control { metric_identifier { family: "f" }
      histogram_options { buckets: [ 0.5, 2 ] } } }
"""

REQUEST = r"""
    model_name: "digits" model_version: "3" id: "7"
    parameters { key: "sequence_start" value { bool_param: true } }
    parameters { key: "timeout" value { int64_param: -5 } }
    parameters { key: "sequence_id" value { string_param: "abc" } }
    parameters { key: "temperature" value { double_param: 0.25 } }
    parameters { key: "priority" value { uint64_param: 18446744073709551615 } }
    inputs { name: "a" datatype: "FP32" shape: [ 2, 2 ] contents { fp32_contents: [ 1, 2, 3, 4 ] } }
    inputs { name: "b" datatype: "INT8" shape: [ 2 ] contents { int_contents: [ -1, 1 ] } }
    inputs { name: "c" datatype: "BYTES" shape: [ 1 ] contents { bytes_contents: "\000\377" } }
    inputs { name: "d" datatype: "FP16" shape: [ 1 ]
             parameters { key: "shared_memory_region" value { string_param: "region" } } }
    outputs { name: "y" parameters { key: "classification" value { int64_param: 3 } } }
    raw_input_contents: "\001\000\377" raw_input_contents: ""
"""


@pytest.mark.parametrize(("ours", "theirs"), FILES)
def test_every_name_of_theirs_is_ours_and_means_the_same(
    ours: FileDescriptor, theirs: FileDescriptor
) -> None:
    wanted = dict(facts(theirs))
    assert len(wanted) > 100
    found = dict(facts(ours))
    assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(("ours", "theirs"), FILES)
def test_nothing_is_added(ours: FileDescriptor, theirs: FileDescriptor) -> None:
    # A field of our own would one day collide with a new one of theirs. Ours belong into parameters.
    assert dict(facts(ours)).keys() == dict(facts(theirs)).keys()


def test_health_is_the_standard_one() -> None:
    check, states = "HealthCheckRequest -> HealthCheckResponse", "HealthCheckResponse.ServingStatus"
    assert dict(facts(health_pb2.DESCRIPTOR)) == {
        "Health.Check": ("rpc", check, False, False),
        "Health.Watch": ("rpc", check, False, True),
        "Health.List": ("rpc", "HealthListRequest -> HealthListResponse", False, False),
        "HealthCheckRequest.service": (1, "string", "one", None),
        "HealthCheckResponse.status": (1, states, "one", None),
        "HealthListResponse.statuses": (1, "map<string, HealthCheckResponse>", "many", None),
        f"{states}.UNKNOWN": 0,
        f"{states}.SERVING": 1,
        f"{states}.NOT_SERVING": 2,
        f"{states}.SERVICE_UNKNOWN": 3,
    } | messages("HealthCheckRequest", "HealthCheckResponse", "HealthListRequest", "HealthListResponse")
    assert health_pb2.DESCRIPTOR.package == "grpc.health.v1"


@pytest.mark.parametrize("module", [reflection_pb2, reflection_alpha_pb2], ids=["v1", "v1alpha"])
def test_reflection_is_the_standard_one(module: object) -> None:
    file: FileDescriptor = module.DESCRIPTOR  # type: ignore[attr-defined]
    ask, tell = "ServerReflectionRequest", "ServerReflectionResponse"
    assert dict(facts(file)) == {
        "ServerReflection.ServerReflectionInfo": ("rpc", f"{ask} -> {tell}", True, True),
        f"{ask}.host": (1, "string", "one", None),
        f"{ask}.file_by_filename": (3, "string", "one", "message_request"),
        f"{ask}.file_containing_symbol": (4, "string", "one", "message_request"),
        f"{ask}.file_containing_extension": (5, "ExtensionRequest", "one", "message_request"),
        f"{ask}.all_extension_numbers_of_type": (6, "string", "one", "message_request"),
        f"{ask}.list_services": (7, "string", "one", "message_request"),
        "ExtensionRequest.containing_type": (1, "string", "one", None),
        "ExtensionRequest.extension_number": (2, "int32", "one", None),
        f"{tell}.valid_host": (1, "string", "one", None),
        f"{tell}.original_request": (2, ask, "one", None),
        f"{tell}.file_descriptor_response": (4, "FileDescriptorResponse", "one", "message_response"),
        f"{tell}.all_extension_numbers_response": (5, "ExtensionNumberResponse", "one", "message_response"),
        f"{tell}.list_services_response": (6, "ListServiceResponse", "one", "message_response"),
        f"{tell}.error_response": (7, "ErrorResponse", "one", "message_response"),
        "FileDescriptorResponse.file_descriptor_proto": (1, "bytes", "many", None),
        "ExtensionNumberResponse.base_type_name": (1, "string", "one", None),
        "ExtensionNumberResponse.extension_number": (2, "int32", "many", None),
        "ListServiceResponse.service": (1, "ServiceResponse", "many", None),
        "ServiceResponse.name": (1, "string", "one", None),
        "ErrorResponse.error_code": (1, "int32", "one", None),
        "ErrorResponse.error_message": (2, "string", "one", None),
    } | messages(
        *(ask, tell, "ExtensionRequest", "FileDescriptorResponse", "ExtensionNumberResponse"),
        *("ListServiceResponse", "ServiceResponse", "ErrorResponse"),
    )


def test_reflection_editions_have_their_own_packages() -> None:
    assert reflection_pb2.DESCRIPTOR.package == "grpc.reflection.v1"
    assert reflection_alpha_pb2.DESCRIPTOR.package == "grpc.reflection.v1alpha"


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        pytest.param(CONFIG, model_config_pb2.ModelConfig, their_config.ModelConfig, id="config"),
        pytest.param(
            REQUEST, grpc_service_pb2.ModelInferRequest, their_service.ModelInferRequest, id="request"
        ),
    ],
)
def test_bytes_text_and_json_go_both_ways(text: str, ours: type[Message], theirs: type[Message]) -> None:
    mine, yours = text_format.Parse(text, ours()), text_format.Parse(text, theirs())
    assert theirs.FromString(mine.SerializeToString()) == yours
    assert ours.FromString(yours.SerializeToString()) == mine
    assert mine.SerializeToString(deterministic=True) == yours.SerializeToString(deterministic=True)
    assert text_format.MessageToString(mine) == text_format.MessageToString(yours)
    assert json_format.Parse(json_format.MessageToJson(yours), ours()) == mine


def messages(*names: str) -> dict[str, object]:
    return dict.fromkeys(names, "message")


def facts(file: FileDescriptor) -> Iterator[tuple[str, object]]:
    """Everything in a file that bytes, text and JSON depend on, by its name within the package."""
    for service in file.services_by_name.values():
        for method in service.methods:
            types = f"{local(method.input_type)} -> {local(method.output_type)}"
            yield local(method), ("rpc", types, method.client_streaming, method.server_streaming)
    for enum in file.enum_types_by_name.values():
        yield from enum_facts(enum)
    for message in file.message_types_by_name.values():
        yield from message_facts(message)


def message_facts(message: Descriptor) -> Iterator[tuple[str, object]]:
    yield local(message), "message"
    for field in message.fields:
        oneof = field.containing_oneof.name if field.containing_oneof else None
        yield local(field), (field.number, type_name(field), "many" if field.is_repeated else "one", oneof)
    for enum in message.enum_types:
        yield from enum_facts(enum)
    for nested in message.nested_types:
        if not nested.GetOptions().map_entry:  # Named in the type of the map's field.
            yield from message_facts(nested)


def enum_facts(enum: EnumDescriptor) -> Iterator[tuple[str, object]]:
    for value in enum.values:
        yield f"{local(enum)}.{value.name}", value.number


def type_name(field: FieldDescriptor) -> str:
    if field.message_type and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return f"map<{type_name(key)}, {type_name(value)}>"
    if field.message_type:
        return local(field.message_type)
    if field.enum_type:
        return local(field.enum_type)
    names = {
        getattr(FieldDescriptor, name): name for name in dir(FieldDescriptor) if name.startswith("TYPE_")
    }
    return names[field.type].removeprefix("TYPE_").lower()


def local(named: object) -> str:
    """The full name without the package."""
    file: FileDescriptor = getattr(named, "file", None) or named.containing_service.file  # type: ignore[attr-defined]
    name: str = named.full_name  # type: ignore[attr-defined]
    return name.removeprefix(f"{file.package}.")
