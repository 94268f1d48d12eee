"""What becomes of each field of ModelConfig: every one is either served or named in a warning.

A path is written with dots, without the indices of repeated fields: ``instance_group.kind``. A field that is
in neither list fails a test, so none can be ignored in silence.
"""

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from infermesh.proto.inference.model_config_pb2 import ModelConfig
from infermesh.remarks import Path

#: Message to those of its fields that change what the server does; "" is the configuration itself.
SERVED: dict[str, tuple[str, ...]] = {
    "": ("name", "platform", "backend", "max_batch_size", "default_model_filename"),
    "version_policy": ("all",),
    "version_policy.latest": ("num_versions",),
    "version_policy.specific": ("versions",),
    "input": ("name", "data_type", "format", "dims", "allow_ragged_batch", "optional"),
    "input.reshape": ("shape",),
    "output": ("name", "data_type", "dims", "label_filename"),
    "output.reshape": ("shape",),
    "batch_input": ("kind", "target_name", "data_type", "source_input"),
    "batch_output": ("target_name", "kind", "source_input"),
    "instance_group": ("name", "kind", "count", "gpus"),
    "optimization.graph": ("level",),
    "optimization.cuda": ("graphs",),
    "optimization.input_pinned_memory": ("enable",),
    "optimization.output_pinned_memory": ("enable",),
    "optimization.execution_accelerators.gpu_execution_accelerator": ("name", "parameters"),
    "optimization.execution_accelerators.cpu_execution_accelerator": ("name", "parameters"),
    "parameters": ("string_value",),
    "dynamic_batching": (
        "preferred_batch_size",
        "max_queue_delay_microseconds",
        "preserve_ordering",
        "priority_levels",
        "default_priority_level",
    ),
    "dynamic_batching.default_queue_policy": (
        "timeout_action",
        "default_timeout_microseconds",
        "allow_timeout_override",
        "max_queue_size",
    ),
    "dynamic_batching.priority_queue_policy": (
        "timeout_action",
        "default_timeout_microseconds",
        "allow_timeout_override",
        "max_queue_size",
    ),
    "sequence_batching": ("max_sequence_idle_microseconds", "iterative_sequence"),
    "sequence_batching.direct": ("max_queue_delay_microseconds", "minimum_slot_utilization"),
    "sequence_batching.oldest": (
        "max_candidate_sequences",
        "preferred_batch_size",
        "max_queue_delay_microseconds",
        "preserve_ordering",
    ),
    "sequence_batching.control_input": ("name",),
    "sequence_batching.control_input.control": (
        "kind",
        "int32_false_true",
        "fp32_false_true",
        "bool_false_true",
        "data_type",
    ),
    "sequence_batching.state": ("input_name", "output_name", "data_type", "dims"),
    "sequence_batching.state.initial_state": ("data_type", "dims", "zero_data", "data_file", "name"),
    "ensemble_scheduling.step": ("model_name", "model_version", "input_map", "output_map"),
    "model_warmup": ("name", "batch_size", "count"),
    "model_warmup.inputs": ("data_type", "dims", "zero_data", "random_data", "input_data_file"),
    "model_transaction_policy": ("decoupled",),
    "response_cache": ("enable",),
}

_TENSORRT = "it belongs to TensorRT engines; an ONNX model reaches TensorRT as an execution accelerator"

#: Field to why it changes nothing here and what does instead; everything below it is meant, too.
IGNORED: dict[str, str] = {
    "runtime": "each backend has one runtime; leave it out",
    "input.is_shape_tensor": _TENSORRT,
    "input.is_non_linear_format_io": _TENSORRT,
    "output.is_shape_tensor": _TENSORRT,
    "output.is_non_linear_format_io": _TENSORRT,
    "optimization.priority": "models share the cores evenly; instances and threads per model divide them",
    "optimization.cuda.busy_wait_events": "a thread that waits for the device does it as CUDA decides",
    "optimization.cuda.graph_spec": "graphs are captured for the sizes in the parameter allowed_batch_sizes",
    "optimization.cuda.output_copy_stream": "every instance copies on a stream of its own; leave it out",
    "optimization.gather_kernel_buffer_threshold": _TENSORRT,
    "optimization.eager_batching": "a free instance takes what waits, so batching is eager; leave it out",
    "instance_group.rate_limiter": "nothing is limited across models; instance_group.count limits one",
    "instance_group.secondary_devices": _TENSORRT,
    "instance_group.profile": _TENSORRT,
    "instance_group.passive": "every instance is given work; leave the group out",
    "instance_group.host_policy": "the operating system places threads; taskset or numactl bind the process",
    "sequence_batching.state.use_same_buffer_for_input_output": "states are moved, not copied; leave it out",
    "sequence_batching.state.use_growable_memory": "it concerns CUDA memory of TensorRT; leave it out",
    "ensemble_scheduling.max_inflight_requests": "members answer once; their own max_queue_size is the bound",
    "ensemble_scheduling.step.model_namespace": "all repositories share one set of names; leave it out",
    "cc_model_filenames": "an ONNX file fits every GPU; name it in default_model_filename",
    "metric_tags": "metrics have Triton's labels; the scraper can add others (relabel_configs)",
    "model_operations": "no libraries of operators are loaded; a Python model can use them",
    "model_repository_agents": "no agents are run; prepare the files before they come to the repository",
    "model_metrics": "the buckets are the same for every model",
}


def ignored_fields(config: ModelConfig) -> Iterator[tuple[Path, str, str]]:
    """Yield what a configuration says in vain: where it stands, its dotted name, and the reason.

    A scalar at its default cannot be told from one that is left out, and asks for nothing either way.
    """
    yield from _walk(config, "", ())


def _walk(message: Message, prefix: str, at: Path) -> Iterator[tuple[Path, str, str]]:
    for field, value in message.ListFields():
        dotted, path = f"{prefix}{field.name}", (*at, field.name)
        if reason := IGNORED.get(dotted):
            yield path, dotted, reason
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for element, child in _elements(value):
                yield from _walk(child, f"{dotted}.", (*path, *element))


def _elements(value: object) -> Iterator[tuple[Path, Message]]:
    """Yield the messages in a field, each with its index; an entry of a map has none."""
    if isinstance(value, Message):
        yield (0,), value
    elif hasattr(value, "values"):
        yield from (((), child) for child in value.values() if isinstance(child, Message))
    elif isinstance(value, Iterable):
        yield from (((index,), child) for index, child in enumerate(value))
