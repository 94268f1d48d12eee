"""Which models are served, and who decides that."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from infermesh.errors import ConfigurationError

EVERY_MODEL = "*"


class ModelControlMode(StrEnum):
    """Who decides what is loaded, and when, in Triton's words."""

    #: Everything in the repository, once.
    NONE = "none"
    #: Everything in the repository, and whatever changes in it later.
    POLL = "poll"
    #: What ``--load-model`` names.
    EXPLICIT = "explicit"


@dataclass(frozen=True, kw_only=True)
class RepositoryOptions:
    """The repository and its control. Times are in seconds."""

    repository: Annotated[
        tuple[str, ...],
        typer.Argument(
            metavar="REPOSITORY...",
            show_default=False,
            help="Model repository in Triton's layout: REPOSITORY/NAME/1/model.onnx.",
        ),
    ] = ()
    model_repository: Annotated[
        tuple[str, ...],
        typer.Option(metavar="REPOSITORY", help="Another way to name a repository; may be repeated."),
    ] = ()
    model_control_mode: Annotated[
        ModelControlMode,
        typer.Option(
            metavar="MODE",
            help="none: load the repository once; poll: follow its changes; explicit: load what is named.",
        ),
    ] = ModelControlMode.NONE
    load_model: Annotated[
        tuple[str, ...],
        typer.Option(
            metavar="NAME", help="Model to load in explicit mode; may be repeated, '*' is every model."
        ),
    ] = ()
    repository_poll_secs: Annotated[
        float,
        typer.Option(
            min=0.1, metavar="SECS", help="Seconds between two looks at the repository in poll mode."
        ),
    ] = 15.0
    repository_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default="a temporary directory",
            help="Where copies of repositories on S3-compatible storage are kept between two runs.",
        ),
    ] = None
    strict_readiness: Annotated[
        bool, typer.Option(help="Report ready only if every model is; otherwise as soon as loading ends.")
    ] = True
    exit_on_error: Annotated[
        bool, typer.Option(help="Exit if a model cannot be loaded at start; otherwise serve the rest.")
    ] = False

    def check(self) -> None:
        """Raise ConfigurationError for options that do not fit together."""
        if not self.repositories:
            raise ConfigurationError(
                "no model repository was given",
                hint="name the directory that holds one directory per model: REPOSITORY/NAME/1/model.onnx",
            )
        if self.load_model and self.model_control_mode is not ModelControlMode.EXPLICIT:
            raise ConfigurationError(
                f"--load-model was given with --model-control-mode {self.model_control_mode}, "
                "where the repository alone decides what is loaded",
                hint="add --model-control-mode explicit, or leave --load-model out",
            )

    @property
    def repositories(self) -> tuple[str, ...]:
        """Every repository, in the order given."""
        return (*self.repository, *self.model_repository)
