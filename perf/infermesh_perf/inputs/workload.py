"""Everything that the load generator is told about one model's requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.errors import SetupError
from infermesh_perf.inputs import encode_grpc, encode_http, request
from infermesh_perf.inputs.expected import expected
from infermesh_perf.inputs.request import Placement, RequestOptions
from infermesh_perf.inputs.sample import Inputs, Sample
from infermesh_perf.target.address import Protocol
from infermesh_perf.target.grpc_api import INFER, STREAM_INFER
from infermesh_perf.target.headers import Headers
from infermesh_perf.target.http_api import model_path
from infermesh_perf.target.model import ModelSpec

#: How long sequences are whose length neither an option nor a file says.
SEQUENCE_LENGTH = 20


@dataclass(frozen=True)
class SequenceOptions:
    """Of models with sequences. `length` None: that of the file's streams, or `SEQUENCE_LENGTH`.

    `variation` is the share by which lengths differ. Ids begin at `first_id`, `ids` of them, 0 for no limit;
    `concurrent` is how many sequences an open loop keeps alive.
    """

    length: int | None = None
    variation: float = 0.2
    first_id: int = 1
    ids: int = 0
    concurrent: int = 4


@dataclass(frozen=True)
class WorkloadOptions:
    """How one model's requests differ from those of others in the mix; an empty `name` is the model's.

    Elements of expected outputs may be off by `absolute + relative * |expected|`.
    """

    name: str = ""
    weight: float = 1.0
    headers: Headers = ()
    request: RequestOptions = field(default_factory=RequestOptions)
    sequences: SequenceOptions = field(default_factory=SequenceOptions)
    absolute: float = 1e-5
    relative: float = 1e-5


def build(
    model: ModelSpec,
    protocol: Protocol,
    inputs: Inputs,
    options: WorkloadOptions,
    placements: Sequence[Sequence[Placement]] | None = None,
) -> load_pb2.Workload:
    """The workload of `inputs`, encoded for a protocol.

    `placements` has a place for each sample that lies in shared memory. Raises SetupError for options that do
    not fit the model, the protocol or each other.
    """
    request.check(model, protocol, options.request)
    if not options.weight > 0:
        raise SetupError(f"model {model.name!r} has the weight {options.weight:g}, expected more than 0")
    places = placements or [[Placement() for _ in script] for script in inputs.scripts]
    scripts = [
        load_pb2.Script(
            payloads=[
                _payload(model, protocol, sample, options.request, placement)
                for sample, placement in zip(script, row, strict=True)
            ]
        )
        for script, row in zip(inputs.scripts, places, strict=True)
    ]
    return load_pb2.Workload(
        name=options.name or model.name,
        path=_path(model, protocol, options.request),
        headers=[load_pb2.Header(name=name, value=value) for name, value in options.headers],
        weight=options.weight,
        scripts=scripts,
        sequences=_sequences(inputs, options.sequences) if model.sequence else None,
        decoupled=model.decoupled,
        tolerance=load_pb2.Tolerance(absolute=options.absolute, relative=options.relative),
    )


def _payload(
    model: ModelSpec, protocol: Protocol, sample: Sample, options: RequestOptions, placement: Placement
) -> load_pb2.Payload:
    request.check_expected(options, placement, sample)
    if protocol == "grpc":
        payload = load_pb2.Payload(body=encode_grpc.encode(model, sample, options, placement))
    else:
        payload = encode_http.encode(model, sample, options, placement)
    payload.expected.extend(expected(model, sample))
    return payload


def _path(model: ModelSpec, protocol: Protocol, options: RequestOptions) -> str:
    if protocol == "http":
        return f"{model_path(model.name, model.version)}/infer"
    return STREAM_INFER if options.streaming else INFER


def _sequences(inputs: Inputs, options: SequenceOptions) -> load_pb2.Sequences:
    if options.length is not None and options.length < 1:
        raise SetupError(f"--sequence-length: found {options.length}, expected at least 1")
    if options.first_id < 1:
        raise SetupError(
            f"--sequence-id-range: found {options.first_id}, expected ids from 1: 0 is no sequence"
        )
    if options.ids < 0 or options.concurrent < 1 or not 0 <= options.variation <= 1:
        raise SetupError("sequences need ids, one at least live at once, and a variation between 0 and 100 %")
    length = options.length
    if length is None:
        # A file's streams are played as they are.
        length = 0 if inputs.recorded else SEQUENCE_LENGTH
    return load_pb2.Sequences(
        first_id=options.first_id,
        ids=options.ids,
        length=length,
        variation=options.variation if length else 0.0,
        concurrent=options.concurrent,
    )
