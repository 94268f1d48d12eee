"""From options to the models of the mix and what is sent to each."""

from __future__ import annotations

from infermesh_perf.command import values
from infermesh_perf.command.options import InputOptions, TargetOptions
from infermesh_perf.errors import SetupError
from infermesh_perf.inputs.options import DataOptions
from infermesh_perf.inputs.request import RequestOptions
from infermesh_perf.inputs.workload import SequenceOptions, WorkloadOptions
from infermesh_perf.load.prepared import ModelChoice

LARGEST_TOLERANCE = 1e9


def choices_of(target: TargetOptions, inputs: InputOptions) -> list[ModelChoice]:
    """The models of the mix, each with what is sent to it."""
    data = DataOptions(
        batch=inputs.batch,
        shapes=values.shapes(inputs.shape),
        data=inputs.input_data,
        string_length=inputs.string_length,
        string_data=inputs.string_data,
        seed=inputs.seed,
        payloads=inputs.payloads,
        validate=inputs.validate,
    )
    tolerance = values.within("--tolerance", inputs.tolerance, 0, LARGEST_TOLERANCE)
    first, ids = values.id_range(inputs.sequence_id_range)
    sequences = SequenceOptions(
        length=inputs.sequence_length,
        variation=values.within("--sequence-length-variation", inputs.sequence_length_variation, 0, 100, "%")
        / 100,
        first_id=first,
        ids=ids,
        concurrent=inputs.num_of_sequences,
    )
    request = RequestOptions(
        outputs=tuple(inputs.request_output),
        binary=not inputs.json_tensors,
        streaming=target.streaming,
    )
    if not target.model:
        raise SetupError(
            "no model is named", hint="-m NAME; the server's log, or its repository index, has them"
        )
    chosen = [values.model(text, target.version) for text in target.model]
    return [
        ModelChoice(
            name,
            number,
            data,
            WorkloadOptions(
                name=f"{name}:{number}" if number else name,
                weight=weight,
                request=request,
                sequences=sequences,
                absolute=tolerance,
                relative=tolerance,
            ),
        )
        for name, number, weight in chosen
    ]
