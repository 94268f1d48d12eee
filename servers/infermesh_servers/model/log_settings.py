"""Log settings as clients read and change them, with Triton's names."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

from infermesh.logs import LogFormat, Output

#: Beside the formats themselves: what the process was started with.
DEFAULT_FORMAT = "default"

Value = bool | int | str


class LogSettings:
    """What LogSettings and /v2/logging show and change. Called from one thread or another, one at a time."""

    def __init__(self, output: Output, file: Path | None, set_access_log: Callable[[bool], None]) -> None:
        """``set_access_log`` is told whether every inference gets a record."""
        self._output = output
        self._file = "" if file is None else str(file)
        self._set_access_log = set_access_log
        self._first_format = output.format
        self._format = DEFAULT_FORMAT
        self._set_access_log(output.selection.verbose > 0)

    def change(self, settings: Mapping[str, Value | None]) -> dict[str, Value]:
        """Change what is given, all or nothing; returns every setting.

        Raises ValueError for a name or a value that does not exist, NotImplementedError for what cannot be
        changed.
        """
        selection, format_ = self._output.selection, self._format
        for name, value in settings.items():
            match name:
                case "log_file":
                    raise NotImplementedError("log file location can not be updated through network protocol")
                case "log_info":
                    selection = replace(selection, info=_boolean(name, value))
                case "log_warning":
                    selection = replace(selection, warning=_boolean(name, value))
                case "log_error":
                    selection = replace(selection, error=_boolean(name, value))
                case "log_verbose_level":
                    selection = replace(selection, verbose=_integer(name, value))
                case "log_format":
                    format_ = _format(name, value)
                case _:
                    raise ValueError(
                        f"unknown log setting '{name}', expected log_info, log_warning, log_error, "
                        "log_verbose_level or log_format"
                    )
        if format_ != self._format:
            self._format = format_
            self._output.write_as(self._first_format if format_ == DEFAULT_FORMAT else LogFormat(format_))
        if selection != self._output.selection:
            self._output.select(selection)
            self._set_access_log(selection.verbose > 0)
        return self.shown()

    def shown(self) -> dict[str, Value]:
        """Return every setting."""
        selection = self._output.selection
        return {
            "log_file": self._file,
            "log_info": selection.info,
            "log_warning": selection.warning,
            "log_error": selection.error,
            "log_verbose_level": selection.verbose,
            "log_format": self._format,
        }


def _boolean(name: str, value: Value | None) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expect boolean for '{name}'")
    return value


def _is_integer(value: Value | None) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(name: str, value: Value | None) -> int:
    if not _is_integer(value):
        raise ValueError(f"expect int32 for '{name}'")
    return value


def _format(name: str, value: Value | None) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expect string for '{name}'")
    if value not in (DEFAULT_FORMAT, LogFormat.TEXT, LogFormat.JSON, LogFormat.ISO8601):
        raise ValueError(f"invalid argument for {name}, got: {value}")
    return value
