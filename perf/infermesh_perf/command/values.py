"""Reads what options say into the terms of the suite. All raise SetupError that names the option."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from infermesh_perf.errors import SetupError
from infermesh_perf.results.document import Load

MOST_LEVELS = 1000
#: Sequences have ids of 64 bits, half of which are room to count up.
LAST_ID = (1 << 63) - 1
#: Requests under way that the generator allows at most.
MOST_AT_ONCE = 1_000_000
#: Requests per second that it can be asked for.
LOWEST_RATE, HIGHEST_RATE = 1e-3, 1e9
_MODEL = re.compile(r"(?P<name>[^:=]+)(:(?P<version>[^:=]+))?(=(?P<weight>[^:=]+))?")
_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>ms|s|m|h|)")
_SECONDS = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def model(text: str, version: str) -> tuple[str, str, float]:
    """Name, version and weight of `NAME[:VERSION][=WEIGHT]`; `version` where it names none."""
    found = _MODEL.fullmatch(text.strip())
    if found is None:
        raise SetupError(f"-m: found {text!r}, expected NAME[:VERSION][=WEIGHT] such as bert:2=3")
    weight = 1.0 if found["weight"] is None else number("-m", found["weight"])
    if not weight > 0:
        raise SetupError(f"-m {text}: found a weight of {weight:g}, expected more than 0")
    return found["name"], found["version"] or version, weight


def number(option: str, text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SetupError(f"{option}: found {text!r}, expected a number")
    return value


def within(option: str, value: float, lowest: float, highest: float, unit: str = "") -> float:
    """The value, if it is one between the two, which are allowed themselves."""
    if not lowest <= value <= highest:
        allowed = f"{lowest:g} to {highest:g} {unit}".rstrip()
        raise SetupError(f"{option}: found {value:g}, expected {allowed}")
    return value


def levels(option: str, text: str, *, whole: bool) -> list[float]:
    """Values of `START[:END[:STEP]]`, or of a list with commas; END is one of them if steps come to it."""
    if "," in text:
        values = [number(option, part) for part in text.split(",") if part.strip()]
    else:
        parts = [number(option, part) for part in text.split(":")]
        if len(parts) > 3:
            raise SetupError(f"{option}: found {text!r}, expected START:END:STEP such as 1:64:4")
        start = parts[0]
        end = parts[1] if len(parts) > 1 else start
        step = parts[2] if len(parts) > 2 else 1.0
        if step <= 0 or end < start:
            raise SetupError(f"{option}: found {text!r}, expected START up to END in steps above 0")
        count = math.floor((end - start) / step + 1e-9) + 1
        if count > MOST_LEVELS:
            raise SetupError(f"{option}: {text!r} are {count} levels, expected {MOST_LEVELS} at most")
        values = [start + step * position for position in range(count)]
    lowest, highest = (1, MOST_AT_ONCE) if whole else (LOWEST_RATE, HIGHEST_RATE)
    good = (lowest <= value <= highest and (value == int(value) or not whole) for value in values)
    if not values or not all(good):
        kind = f"{'whole ' if whole else ''}numbers from {lowest:g} to {highest:g}"
        raise SetupError(f"{option}: found {text!r}, expected {kind}")
    return values


def duration(option: str, text: str) -> float | None:
    """Seconds of `30s`, `5m` or `1h`; None of an empty text."""
    if not text:
        return None
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found["number"]) * _SECONDS[found["unit"]] if found else 0.0
    if seconds <= 0:
        raise SetupError(f"{option}: found {text!r}, expected a time such as 30s, 5m or 1h")
    return seconds


def names_and_texts(option: str, text: str) -> dict[str, str]:
    """A JSON object of texts, as ghz takes metadata and tags."""
    if not text:
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise SetupError(
            f'{option}: found no JSON ({error}), expected such as \'{{"name": "value"}}\''
        ) from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise SetupError(f"{option}: found {text!r}, expected an object whose values are texts")
    return found


def shapes(texts: list[str]) -> dict[str, tuple[int, ...]]:
    """Sizes by input of `INPUT:D1,D2`. Names may have colons themselves."""
    found: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, colon, sizes = text.rpartition(":")
        parts = sizes.split(",")
        if not colon or not name or not all(part.strip().isdecimal() for part in parts):
            raise SetupError(f"--shape: found {text!r}, expected INPUT:D1,D2 such as tokens:128")
        found[name] = tuple(int(part) for part in parts)
    return found


def id_range(text: str) -> tuple[int, int]:
    """First id and how many there are of `FIRST[:LAST]`; 0: without a limit."""
    first, colon, last = text.partition(":")
    ids = [int(part) for part in (first, last if colon else first) if part.isdecimal()]
    # Id 0 stands for no sequence.
    if len(ids) < 2 or not 1 <= ids[0] <= ids[1] <= LAST_ID:
        raise SetupError(
            f"--sequence-id-range: found {text!r}, expected FIRST or FIRST:LAST such as 1:1000, from 1 to "
            f"{LAST_ID}"
        )
    return ids[0], ids[1] - ids[0] + 1 if colon else 0


def intervals(path: Path) -> tuple[int, ...]:
    """Gaps in nanoseconds from a file with one in microseconds on each line, as perf_analyzer has it."""
    try:
        lines = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"--request-intervals {path}: cannot be read: {error}") from error
    wrong = next((line for line in lines if not line.isdecimal()), None)
    if wrong is not None or not lines or sum(map(int, lines)) == 0:
        raise SetupError(
            f"--request-intervals {path}: found {wrong or 'no interval above 0'}, expected whole "
            "microseconds between requests, one on each line"
        )
    return tuple(int(line) * 1000 for line in lines)


def replayed(gaps: tuple[int, ...]) -> Load:
    """The load of recorded intervals; its value is their mean rate."""
    return Load(mode="intervals", value=len(gaps) / (sum(gaps) / 1e9), distribution="replay")
