"""Triton's ``--trace-config``."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from infermesh.errors import ConfigurationError
from infermesh.telemetry.trace_config import TraceConfig

_MODE = "opentelemetry"


def read_flags(flags: Sequence[str], environment: Mapping[str, str]) -> TraceConfig:
    """Read the flags, completed by the environment. Raises ConfigurationError, naming what was found."""
    settings, own, resource = _parse(flags)
    return TraceConfig.of(environment, {**settings, **own}, own.get("url"), resource)


def _parse(flags: Sequence[str]) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the settings of any mode, those of this mode, and the attributes."""
    settings: dict[str, str] = {}
    own: dict[str, str] = {}
    resource: dict[str, str] = {}
    for flag in flags:
        scope, separator, rest = flag.partition(",")
        # A comma may also be part of a value; one in front of everything names no mode.
        mode, setting = (scope or "?", rest) if separator and "=" not in scope else ("", flag)
        name, separator, value = setting.partition("=")
        if not separator or not name or not value:
            _refuse(flag, "<setting>=<value> or opentelemetry,<setting>=<value>")
        match mode, name:
            case ("", "level") if value in ("OFF", "TIMESTAMPS"):
                settings[name] = value
            case ("", "level"):
                _refuse(flag, "level=OFF or level=TIMESTAMPS")
            case ("", "mode") if value != _MODE:
                _refuse(flag, f"mode={_MODE}: traces go to an OpenTelemetry collector, not to a file")
            case ("", "mode"):
                pass
            case ("", "rate" | "count"):
                settings[name] = value
            case (mode, "resource") if mode == _MODE:
                key, separator, attribute = value.partition("=")
                if not separator or not key:
                    _refuse(flag, f"{_MODE},resource=<key>=<value>")
                resource[key] = attribute
            case (
                mode,
                "url" | "bsp_max_queue_size" | "bsp_max_export_batch_size" | "bsp_schedule_delay",
            ) if mode == _MODE:
                own[name] = value
            case _:
                _refuse(
                    flag,
                    f"level, rate, count or mode; or {_MODE} with url, resource, bsp_max_queue_size, "
                    "bsp_max_export_batch_size or bsp_schedule_delay",
                )
    return settings, own, resource


def _refuse(flag: str, expected: Any) -> NoReturn:
    raise ConfigurationError(f"--trace-config {flag}: expected {expected}")
