"""What a function returned, as JSON."""

import json
import math
from collections.abc import Mapping
from typing import Any

#: An error is shown to those who read the log of the sidecar and the answer that was refused.
_LONGEST_ERROR = 500


def tensors(returned: Any) -> bytes:
    """Return the reply for what a function returned: values by the names of the model's inputs.

    A value is a number, a text, a bool, bytes of UTF-8, or lists and tuples of them, as deep as the input has
    dimensions; or an array of numpy, or of whatever else has ``tolist``.

    Raises TypeError or ValueError for what is none of that.
    """
    if not isinstance(returned, Mapping):
        raise TypeError(
            f"found {_named(returned)}, expected a dict of values by the names of the model's inputs"
        )
    for name in returned:
        if not isinstance(name, str):
            raise TypeError(f"found {name!r} for the name of an input, expected text")
    found = dict(returned)
    try:
        text = _FINITE.encode({"tensors": found})
    except ValueError:
        # There are numbers that JSON has none for, which is rare: only then every element is looked at.
        text = _FINITE.encode({"tensors": {name: _spelled(value) for name, value in found.items()}})
    return text.encode()


def error(problem: BaseException) -> bytes:
    """Return the reply for a function that failed."""
    return _FINITE.encode({"error": describe(problem)}).encode()


def describe(problem: BaseException) -> str:
    """Return an error's type and message, in one sentence."""
    message = str(problem)[:_LONGEST_ERROR]
    return f"{type(problem).__name__}: {message}" if message else type(problem).__name__


def _plain(value: Any) -> Any:
    """Return what stands for a value that JSON does not know."""
    if callable(tolist := getattr(value, "tolist", None)):
        return tolist()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode()
    # Decimals, fractions.
    if hasattr(value, "__float__"):
        return float(value)
    raise TypeError(f"found {_named(value)} in a tensor, expected numbers, text, lists or arrays")


_FINITE = json.JSONEncoder(allow_nan=False, default=_plain, separators=(",", ":"))


def _spelled(value: Any) -> Any:
    """Return the value with words for the numbers that JSON has none for, as the v2 protocol spells them."""
    if isinstance(value, list | tuple):
        return [_spelled(element) for element in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | int | float):
        return value
    return _spelled(_plain(value))


def _named(value: Any) -> str:
    return "None" if value is None else type(value).__name__
