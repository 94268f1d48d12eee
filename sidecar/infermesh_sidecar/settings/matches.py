"""Which requests something is about."""

from typing import Annotated, Literal

from infermesh.settings.forms import OneOrMany
from infermesh.settings.names import HttpPath, Method, Name
from infermesh.settings.section import Section
from pydantic import Field


class Fit(Section):
    """Which requests: all that is given has to fit."""

    path: HttpPath | None = Field(default=None, description="A path that has to be equal.")
    prefix: HttpPath | None = Field(default=None, description="What a path has to begin with.")
    methods: Annotated[list[Method], OneOrMany()] = Field(
        default=[], description="One of these HTTP methods."
    )
    authorities: Annotated[list[Name], OneOrMany()] = Field(
        default=[], description="One of these values of `:authority` or Host."
    )
    headers: dict[str, str] = Field(
        default={},
        description="Headers that have to have these values; a `*` at the end stands for anything.",
    )
    protocol: Literal["any", "grpc", "http"] = Field(
        default="any", description="Only requests of gRPC, or only others."
    )


class Match(Fit):
    """Which requests: all that is given has to fit."""

    any: Annotated[list[Fit], OneOrMany()] = Field(
        default=[], description="Beside what is given above, one of these has to fit."
    )
