"""What sequence_batching must keep beyond its schema."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from infermesh.proto.inference import model_config_pb2
from infermesh.proto.inference.model_config_pb2 import ModelConfig, ModelSequenceBatching
from infermesh.remarks import BrokenRule, Path

_Control = ModelSequenceBatching.Control

_AT: Path = ("sequence_batching", 0)

#: What the native scheduler takes.
MOST_CANDIDATES = 16_384

#: The types that can carry a sequence's id.
_ID_TYPES = tuple(
    model_config_pb2.DataType.Value(name)
    for name in ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
)

_VALUES = ("int32_false_true", "fp32_false_true", "bool_false_true")


def sequence_rules(config: ModelConfig) -> Iterator[BrokenRule]:
    """Yield every mistake in the sequence batching of a configuration; none if it has none."""
    if config.WhichOneof("scheduling_choice") != "sequence_batching":
        return
    yield from _scheduling(config)
    yield from _controls(config)
    yield from _states(config)


def _scheduling(config: ModelConfig) -> Iterator[BrokenRule]:
    sequences = config.sequence_batching
    if config.model_transaction_policy.decoupled:
        yield BrokenRule(
            _AT, "sequence_batching: found beside model_transaction_policy.decoupled, expected one of them"
        )
    if sequences.iterative_sequence:
        yield BrokenRule(
            (*_AT, "iterative_sequence"),
            "iterative_sequence: found true, expected false: a decoupled Python model can iterate",
        )
    utilization = sequences.direct.minimum_slot_utilization
    if not 0 <= utilization <= 1:
        yield BrokenRule(
            (*_AT, "direct", 0, "minimum_slot_utilization"),
            f"minimum_slot_utilization: found {utilization:g}, expected a share from 0 to 1",
        )
    oldest = sequences.oldest
    # 0 is as good as none: then it is the batch size.
    if not 0 <= oldest.max_candidate_sequences <= MOST_CANDIDATES:
        yield BrokenRule(
            (*_AT, "oldest", 0, "max_candidate_sequences"),
            f"max_candidate_sequences: found {oldest.max_candidate_sequences}, "
            f"expected 1 to {MOST_CANDIDATES}",
        )
    most = max(config.max_batch_size, 1)
    for index, size in enumerate(oldest.preferred_batch_size):
        if not 1 <= size <= most:
            yield BrokenRule(
                (*_AT, "oldest", 0, "preferred_batch_size", index),
                f"preferred_batch_size: found {size}, expected 1 to max_batch_size, which is {most}",
            )


def _controls(config: ModelConfig) -> Iterator[BrokenRule]:
    taken = {tensor.name for tensor in config.input}
    kinds: set[int] = set()
    for index, control_input in enumerate(config.sequence_batching.control_input):
        at = (*_AT, "control_input", index)
        name = control_input.name
        if not name:
            yield BrokenRule((*at, "name"), "control_input.name: found none, expected a name")
        elif name in taken:
            yield BrokenRule(
                (*at, "name"),
                f'control_input.name: found "{name}" twice, expected an input that clients do not send',
            )
        taken.add(name)
        if len(control_input.control) != 1:
            yield BrokenRule(
                at, f'control_input: found {len(control_input.control)} controls in "{name}", expected 1'
            )
        for control in control_input.control:
            kind = _Control.Kind.Name(control.kind)
            if control.kind in kinds:
                yield BrokenRule(
                    (*at, "control", 0, "kind"), f"control.kind: found {kind} twice, expected it once"
                )
            kinds.add(control.kind)
            yield from _values(control, kind, (*at, "control", 0))


def _values(control: _Control, kind: str, at: Path) -> Iterator[BrokenRule]:
    given = {field: len(getattr(control, field)) for field in _VALUES if getattr(control, field)}
    if control.kind == _Control.CONTROL_SEQUENCE_CORRID:
        if given:
            field = next(iter(given))
            yield BrokenRule((*at, field), f"{field}: found for {kind}, expected data_type")
        if control.data_type not in _ID_TYPES:
            expected = ", ".join(model_config_pb2.DataType.Name(number) for number in _ID_TYPES)
            found = model_config_pb2.DataType.Name(control.data_type)
            yield BrokenRule(
                (*at, "data_type"), f"control.data_type: found {found} for {kind}, expected one of {expected}"
            )
        return
    if len(given) != 1:
        found = " and ".join(given) or "none"
        yield BrokenRule(at, f"control: found {found} for {kind}, expected one of {', '.join(_VALUES)}")
    for field, count in given.items():
        if count != 2:
            yield BrokenRule(
                (*at, field), f"{field}: found {count} values for {kind}, expected 2: for false and for true"
            )


def _states(config: ModelConfig) -> Iterator[BrokenRule]:
    inputs = {tensor.name for tensor in config.input}
    inputs |= {control_input.name for control_input in config.sequence_batching.control_input}
    outputs: set[str] = set()
    for index, state in enumerate(config.sequence_batching.state):
        at = (*_AT, "state", index)
        for field, taken in (("input_name", inputs), ("output_name", outputs)):
            name = getattr(state, field)
            if not name:
                yield BrokenRule((*at, field), f"state.{field}: found none, expected a name")
            elif name in taken:
                yield BrokenRule((*at, field), f'state.{field}: found "{name}" twice, expected it once')
            taken.add(name)
        if state.data_type == model_config_pb2.TYPE_INVALID:
            yield BrokenRule(
                (*at, "data_type"),
                f'state.data_type: found none in "{state.input_name}", expected a type such as TYPE_FP32',
            )
        for dim in state.dims:
            if dim < -1 or dim == 0:
                yield BrokenRule(
                    (*at, "dims"), f"state.dims: found {dim}, expected 1 or more, or -1 for any size"
                )
        yield from _initial_state(state, at)


def _initial_state(state: ModelSequenceBatching.State, at: Path) -> Iterator[BrokenRule]:
    if len(state.initial_state) > 1:
        yield BrokenRule(
            (*at, "initial_state"), f"initial_state: found {len(state.initial_state)}, expected at most 1"
        )
        return
    for initial in state.initial_state:
        here = (*at, "initial_state", 0)
        if not initial.name:
            yield BrokenRule((*here, "name"), "initial_state.name: found none, expected a name")
        if initial.data_type != state.data_type:
            found, expected = (
                model_config_pb2.DataType.Name(number) for number in (initial.data_type, state.data_type)
            )
            yield BrokenRule(
                (*here, "data_type"),
                f"initial_state.data_type: found {found}, expected {expected}, the state's type",
            )
        fits = len(initial.dims) == len(state.dims) and all(
            found > 0 and wanted in (-1, found)
            for found, wanted in zip(initial.dims, state.dims, strict=True)
        )
        if not fits:
            yield BrokenRule(
                (*here, "dims"),
                f"initial_state.dims: found {list(initial.dims)}, "
                f"expected fixed sizes that fit {list(state.dims)}",
            )
        if initial.WhichOneof("state_data") is None:
            yield BrokenRule(here, "initial_state: found no data, expected zero_data or data_file")
        file = initial.data_file
        if initial.HasField("data_file") and (not file or PurePosixPath(file).name != file or "\0" in file):
            yield BrokenRule(
                (*here, "data_file"),
                f'data_file: found "{file}", expected the name of a file in initial_state/',
            )
