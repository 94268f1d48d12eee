"""Models that are asked about a request before the app sees it."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from infermesh.settings.forms import Duration, OneOrMany, Short
from infermesh.settings.names import Function, Name, Version
from infermesh.settings.section import Section
from pydantic import Field

from infermesh_sidecar.settings.matches import Match

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "FP32", "FP64", "BF16", "BYTES",
]  # fmt: skip


class Input(Section):
    """What fills an input of the model."""

    source: str = Field(
        alias="from",
        min_length=1,
        description="`body.a.b[0]` of a JSON body, `header.x-y`, `query.z`, `path`, `method`, or a list of "
        "values: `body.items[*].price`.",
    )
    datatype: Datatype | None = Field(default=None, description="Without it, what the model says.")
    default: Any = Field(
        default=None, description="In place of what is missing. Without it, the enrichment fails then."
    )


class Output(Section):
    """What becomes of an output of the model."""

    to: str = Field(min_length=1, description="`body.a.b` of the JSON body, or `header.x-y`.")
    index: int = Field(default=0, ge=0, description="Which of its elements, counted from 0.")


class Enrichment(Section):
    """A model that is asked about a request, and what becomes of its answer."""

    name: Name | None = Field(default=None, description="In logs and metrics. Without it, the model's.")
    match: Match | None = Field(default=None, description="Which requests. Without it, all.")
    service: Name | None = Field(
        default=None, description="Who serves the model. Without it, the only service."
    )
    model: Name = Field(description="which model is asked.")
    version: Version | None = Field(
        default=None, description="Which version. Without it, the server's choice."
    )
    inputs: dict[str, Annotated[Input, Short("from")]] = Field(
        default={}, description="The model's inputs, and what each is filled with."
    )
    outputs: dict[str, Annotated[list[Annotated[Output, Short("to")]], OneOrMany()]] = Field(
        min_length=1, description="The model's outputs, and where each is put."
    )
    timeout: Duration = Field(default=timedelta(milliseconds=50), description="Time that it may take.")
    on_failure: Literal["open", "closed"] = Field(
        default="open",
        description="open: the request goes on without, and a header says so. closed: it is refused with "
        "503.",
    )
    transform: Function | None = Field(
        default=None,
        description="`module:function`, called with the fields and returning tensors, for what fields "
        "cannot say.",
    )
    look_at: Literal["request", "response"] = Field(
        default="request", description="What is enriched: the request, or the answer to it."
    )
