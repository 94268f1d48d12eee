"""What is the same in every request to a model."""

from __future__ import annotations

from dataclasses import dataclass, field

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.sample import Sample
from infermesh_perf.target.model import ModelSpec

#: protobuf's limit for a message, which gRPC has as well.
_MESSAGE_BYTES = (1 << 31) - 1


@dataclass(frozen=True)
class RequestOptions:
    """`outputs` to ask for by name, none for all of them; `streaming` sends over gRPC streams.

    `binary` is whether tensors travel over HTTP as bytes behind the JSON, and not as numbers within.
    """

    outputs: tuple[str, ...] = ()
    binary: bool = True
    streaming: bool = False


@dataclass(frozen=True)
class Region:
    """A part of a region of shared memory, in bytes; the region by the name that the server knows."""

    name: str
    offset: int
    byte_size: int


@dataclass(frozen=True)
class Placement:
    """Where the tensors of one request lie, by name, if they are in shared memory."""

    inputs: dict[str, Region] = field(default_factory=dict)
    outputs: dict[str, Region] = field(default_factory=dict)


def requested_outputs(options: RequestOptions, placement: Placement) -> tuple[str, ...]:
    """The outputs that a request lists: those that were asked for, and those with a place of their own."""
    return options.outputs or tuple(placement.outputs)


def check(model: ModelSpec, protocol: str, options: RequestOptions) -> None:
    """Raises SetupError for options that the model or the protocol do not fit."""
    known = [tensor.name for tensor in model.outputs]
    if unknown := [name for name in options.outputs if name not in known]:
        raise SetupError(
            f"output {unknown[0]!r} is not one of model {model.name!r}, expected {', '.join(known)}"
        )
    if protocol == "http" and options.streaming:
        raise SetupError("--streaming needs gRPC, found -i http")
    if protocol == "grpc" and not options.binary:
        raise SetupError("tensors as JSON need HTTP, found -i grpc", hint="-i http")
    if model.decoupled and not options.streaming:
        raise SetupError(
            f"model {model.name!r} is decoupled: its requests have any number of answers, for streams",
            hint="--streaming, over gRPC",
        )


def check_expected(options: RequestOptions, placement: Placement, sample: Sample) -> None:
    """Raises SetupError for an expected output that the answer will not hold."""
    if sample.expected and placement.outputs:
        raise SetupError(
            "outputs in shared memory are not in the answers, where expected outputs are looked for",
            hint="leave out --output-shared-memory-size, or the expected outputs",
        )
    absent = [name for name in sample.expected if options.outputs and name not in options.outputs]
    if absent:
        raise SetupError(f"output {absent[0]!r} has an expected value, but is not among those asked for")


def check_size(model: ModelSpec, size: int) -> None:
    """Raises SetupError for more bytes than a message can hold."""
    if size > _MESSAGE_BYTES:
        raise SetupError(
            f"a request to model {model.name!r} has {size:,} bytes, a message holds {_MESSAGE_BYTES:,}",
            hint="a smaller -b or --shape, or --shared-memory system",
        )
