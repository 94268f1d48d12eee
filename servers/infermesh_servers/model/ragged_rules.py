"""What ragged inputs must keep, and the inputs and outputs that follow them."""

from collections.abc import Iterator

from infermesh.proto.inference import model_config_pb2
from infermesh.proto.inference.model_config_pb2 import BatchInput, BatchOutput, ModelConfig, ModelInput
from infermesh.remarks import BrokenRule, Path

from infermesh_servers.model.datatypes import wire_name
from infermesh_servers.model.ragged import PADDING, end_to_end, padding_parameter

#: The types of what is made for a batch.
_MADE_TYPES = (model_config_pb2.TYPE_INT32, model_config_pb2.TYPE_FP32)

_FLOATS = ("FP16", "BF16", "FP32", "FP64")


def ragged_rules(config: ModelConfig) -> Iterator[BrokenRule]:
    """Yield every mistake in the ragged inputs of a configuration, and in what follows them.

    An ensemble runs no batches itself: there is nothing to be wrong.
    """
    if config.HasField("ensemble_scheduling"):
        return
    yield from _inputs(config)
    yield from _padding(config)
    yield from _batch_inputs(config)
    yield from _batch_outputs(config)


def _inputs(config: ModelConfig) -> Iterator[BrokenRule]:
    for index, tensor in enumerate(config.input):
        if tensor.allow_ragged_batch and tensor.HasField("reshape"):
            yield BrokenRule(
                ("input", index, "reshape"),
                f'input.reshape: found beside allow_ragged_batch in "{tensor.name}", expected one of them',
            )
    if (flat := sorted(end_to_end(config))) and "allowed_batch_sizes" in config.parameters:
        yield BrokenRule(
            ("parameters", "allowed_batch_sizes"),
            f'parameters: allowed_batch_sizes: found beside allow_ragged_batch of "{flat[0]}", '
            f"expected {PADDING} with them: what is laid end to end cannot be filled up",
        )


def _padding(config: ModelConfig) -> Iterator[BrokenRule]:
    ragged = {tensor.name: tensor for tensor in config.input if tensor.allow_ragged_batch}
    for key in sorted(config.parameters):
        name = key.removeprefix(f"{PADDING}.")
        if (key == PADDING and not ragged) or (name != key and name not in ragged):
            yield BrokenRule(
                ("parameters", key),
                f"parameters: {key}: found without an input that has allow_ragged_batch, expected one",
            )
    for name, tensor in ragged.items():
        key_of = padding_parameter(config, name)
        if key_of is not None and tensor.data_type != model_config_pb2.TYPE_INVALID:
            value = config.parameters[key_of].string_value
            if not _fits(value, wire_name(tensor.data_type)):
                yield BrokenRule(
                    ("parameters", key_of),
                    f'parameters: {key_of}: found "{value}", '
                    f'expected a value of {wire_name(tensor.data_type)} for input "{name}"',
                )


def _fits(value: str, datatype: str) -> bool:
    """Return whether a text is a value of a type; how large a float may be the data plane knows."""
    if datatype == "BYTES":
        return True
    if datatype == "BOOL":
        return value.strip() in ("0", "1", "false", "true")
    try:
        number = float(value) if datatype in _FLOATS else int(value)
    except ValueError:
        return False
    if datatype in _FLOATS:
        return True
    bits = int(datatype.removeprefix("U").removeprefix("INT"))
    least = 0 if datatype.startswith("U") else -(1 << (bits - 1))
    return least <= number < least + (1 << bits)


def _batch_inputs(config: ModelConfig) -> Iterator[BrokenRule]:
    sequences = config.sequence_batching
    taken = {tensor.name for tensor in config.input}
    taken |= {control.name for control in sequences.control_input}
    taken |= {state.input_name for state in sequences.state}
    for index, entry in enumerate(config.batch_input):
        at: Path = ("batch_input", index)
        yield from _source(config, entry, "batch_input", at)
        if entry.data_type not in _MADE_TYPES:
            found = model_config_pb2.DataType.Name(entry.data_type)
            yield BrokenRule(
                (*at, "data_type"),
                f"batch_input.data_type: found {found}, expected TYPE_INT32 or TYPE_FP32",
            )
        if not entry.target_name:
            yield BrokenRule(at, "batch_input.target_name: found none, expected an input of the model")
        for position, name in enumerate(entry.target_name):
            here = (*at, "target_name", position)
            if not name:
                yield BrokenRule(here, "batch_input.target_name: found none, expected a name")
            elif name in taken:
                yield BrokenRule(
                    here,
                    f'batch_input.target_name: found "{name}" twice, '
                    "expected an input that clients do not send",
                )
            taken.add(name)


def _batch_outputs(config: ModelConfig) -> Iterator[BrokenRule]:
    outputs = {tensor.name: tensor for tensor in config.output}
    taken: set[str] = set()
    for index, entry in enumerate(config.batch_output):
        at: Path = ("batch_output", index)
        if config.model_transaction_policy.decoupled:
            yield BrokenRule(
                at, "batch_output: found beside model_transaction_policy.decoupled, expected one of them"
            )
        yield from _source(config, entry, "batch_output", at)
        source = next((it for it in config.input if [it.name] == list(entry.source_input)), None)
        if not entry.target_name:
            yield BrokenRule(at, "batch_output.target_name: found none, expected an output of the model")
        for position, name in enumerate(entry.target_name):
            here = (*at, "target_name", position)
            if name in taken:
                yield BrokenRule(here, f'batch_output.target_name: found "{name}" twice, expected it once')
            taken.add(name)
            # Without any, the model itself says what it puts out.
            if outputs and name not in outputs:
                yield BrokenRule(
                    here, f'batch_output.target_name: found "{name}", expected an output of the model'
                )
            if name in outputs and outputs[name].HasField("reshape"):
                yield BrokenRule(
                    here,
                    f'batch_output.target_name: found "{name}", which has reshape, expected one without',
                )
            if name in outputs and source is not None:
                yield from _open_dimensions(name, list(outputs[name].dims), source, here)


def _open_dimensions(name: str, dims: list[int], source: ModelInput, at: Path) -> Iterator[BrokenRule]:
    if -1 in dims[len(source.dims) :]:
        yield BrokenRule(
            at,
            f'batch_output.target_name: found "{name}" with dims {dims}, expected -1 only in dimensions '
            f'that its source "{source.name}" has, whose dims are {list(source.dims)}',
        )


def _source(
    config: ModelConfig, entry: BatchInput | BatchOutput, field: str, at: Path
) -> Iterator[BrokenRule]:
    if len(entry.source_input) != 1:
        yield BrokenRule(at, f"{field}.source_input: found {len(entry.source_input)}, expected 1")
        return
    (name,) = entry.source_input
    here = (*at, "source_input")
    source = next((tensor for tensor in config.input if tensor.name == name), None)
    if source is None:
        yield BrokenRule(here, f'{field}.source_input: found "{name}", expected an input of the model')
    elif not source.allow_ragged_batch:
        yield BrokenRule(
            here, f'{field}.source_input: found "{name}", expected an input that has allow_ragged_batch'
        )
    elif source.optional:
        yield BrokenRule(
            here,
            f'{field}.source_input: found "{name}", which is optional, expected one that is always there',
        )
