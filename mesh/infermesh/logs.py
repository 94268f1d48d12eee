"""Log records as Elastic Common Schema JSON, one per line, or as plain sentences on a terminal.

Everything goes through the standard ``logging`` package, so what a user's own model logs comes out in the
same form.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

ECS_VERSION = "8.17.0"

_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31;1m"}
_RESET = "\x1b[0m"


class LogFormat(StrEnum):
    """How a process writes its log; ``AUTO`` is text on a terminal and JSON everywhere else."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"

    def on(self, stream: TextIO) -> "LogFormat":
        """Return TEXT or JSON: what ``AUTO`` stands for on this stream."""
        if self is not LogFormat.AUTO:
            return self
        return LogFormat.TEXT if stream.isatty() else LogFormat.JSON


def ecs(action: str, **fields: Any) -> dict[str, Any]:
    """Build ``extra=`` for a log call: ECS fields by their dotted names, ``event.action`` among them.

    A double underscore in a keyword stands for the dot: ``ecs("server-listening", server__port=8001)``.
    Fields that are None are left out.
    """
    named = {name.replace("__", "."): value for name, value in fields.items() if value is not None}
    return {"ecs": {"event.action": action, **named}}


def configure(format_: LogFormat, service: Mapping[str, str], stream: TextIO | None = None) -> LogFormat:
    """Send every log record of this process from INFO upwards to ``stream`` (default: stdout).

    ``service`` is added to each JSON line, such as ``{"service.name": ...}``. Returns the format in use.
    """
    stream = sys.stdout if stream is None else stream
    chosen = format_.on(stream)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        EcsFormatter(service) if chosen is LogFormat.JSON else TextFormatter(colour=stream.isatty())
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # A reader that went away, such as `| head`, is no reason to stop serving or to print a traceback per
    # record.
    logging.raiseExceptions = False
    return chosen


class EcsFormatter(logging.Formatter):
    """One JSON object per record, with ECS's own leading fields first."""

    def __init__(self, service: Mapping[str, str]) -> None:
        super().__init__()
        self._service = dict(service)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "@timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "log.level": record.levelname.lower(),
            "message": record.getMessage(),
            "ecs.version": ECS_VERSION,
            **self._service,
            "log.logger": record.name,
            **getattr(record, "ecs", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error.type"] = record.exc_info[0].__name__
            line["error.message"] = str(record.exc_info[1])
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """The message alone; a warning or an error says so in front, in colour on a terminal."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one sentence, with a traceback after it if it carries one."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            label = f"{record.levelname.capitalize()}:"
            if self._colour:
                label = f"{_COLOURS.get(record.levelno, '')}{label}{_RESET}"
            text = f"{label} {text}"
        if record.exc_info and record.exc_info[0] is not None:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return text
