"""A target with what is sent to it: asked once, used for every level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from infermesh.proto.inference import grpc_service_pb2 as pb
from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.hops.statistics import Key
from infermesh_perf.inputs.options import DataOptions
from infermesh_perf.inputs.prepare import prepare
from infermesh_perf.inputs.shared_memory import Kind, shared
from infermesh_perf.inputs.summary import summarize
from infermesh_perf.inputs.workload import WorkloadOptions, build
from infermesh_perf.results.document import TargetSummary, WorkloadSummary
from infermesh_perf.target.api import Api, ServerInfo
from infermesh_perf.target.connect import connect
from infermesh_perf.target.model import describe
from infermesh_perf.target.target import Target


@dataclass(frozen=True)
class ModelChoice:
    """One model of the mix, with what is sent to it."""

    name: str
    version: str
    data: DataOptions
    workload: WorkloadOptions


@dataclass(frozen=True)
class Memory:
    """Where tensors lie: `output_byte_size` is the room for each output, 0 for answers that are sent."""

    kind: Kind = "none"
    output_byte_size: int = 0


@dataclass(frozen=True)
class Prepared:
    """Everything that a plan needs, and what a result says about it."""

    api: Api
    server: ServerInfo
    target: load_pb2.Target
    workloads: Sequence[load_pb2.Workload]
    summaries: Sequence[WorkloadSummary]
    models: Sequence[Key]
    #: An answer of the first model, in the form in which it travels, or in one of about its size.
    answer: bytes

    @property
    def names(self) -> list[str]:
        """Of the workloads."""
        return [summary.name for summary in self.summaries]

    @property
    def batches(self) -> list[int]:
        """Rows per request, by workload."""
        return [max(summary.batch, 1) for summary in self.summaries]

    def summary(self) -> TargetSummary:
        """What the result says about the target."""
        address = self.api.target.address
        return TargetSummary(
            url=address.url,
            protocol="grpc stream"
            if self.target.protocol == load_pb2.PROTOCOL_GRPC_STREAM
            else address.protocol,
            tls=address.tls,
            server=self.server.name,
            server_version=self.server.version,
        )


@contextmanager
def prepared(
    target: Target, choices: Sequence[ModelChoice], memory: Memory, *, streaming: bool, timeout: float
) -> Iterator[Prepared]:
    """Asks the target for its models, makes what is sent, and sends each model one request.

    Shared memory is registered for as long as the block lasts. Raises RunError if the target cannot be
    reached or refuses the request, SetupError for options that do not fit it.
    """
    with ExitStack() as stack:
        api = stack.enter_context(connect(target, timeout))
        server = api.server()
        described = {
            (choice.name, choice.version): describe(api, choice.name, choice.version, choice.data.batch)
            for choice in choices
        }
        # Models that answer as often as they like do so on streams only.
        streaming = streaming or any(model.decoupled for model in described.values())
        message = target.message(streaming=streaming)
        workloads, summaries, models, answer = [], [], [], b""
        for choice in choices:
            model = described[choice.name, choice.version]
            inputs = prepare(model, choice.data)
            outputs = choice.workload.request.outputs
            placements = stack.enter_context(
                shared(api, memory.kind, model, inputs.scripts, memory.output_byte_size, outputs)
            )
            request = replace(choice.workload.request, streaming=streaming)
            options = replace(choice.workload, request=request, headers=target.headers)
            workload = build(model, target.address.protocol, inputs, options, placements)
            first = api.infer(workload.path, workload.scripts[0].payloads[0], workload.sequences.first_id)
            answer = answer or (_streamed(first) if streaming else first).SerializeToString()
            workloads.append(workload)
            summaries.append(summarize(model, inputs, workload))
            models.append((choice.name, choice.version))
        yield Prepared(api, server, message, workloads, summaries, models, answer)


def _streamed(answer: pb.ModelInferResponse) -> pb.ModelStreamInferResponse:
    return pb.ModelStreamInferResponse(infer_response=answer)
