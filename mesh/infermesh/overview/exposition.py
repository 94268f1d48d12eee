"""Reads Prometheus' text format: the named samples as plain numbers.

A server of a thousand models has a hundred thousand lines, and is read every second: lines are told apart
before they are parsed, and labels are parsed once.
"""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache

#: Sorted by name.
Labels = tuple[tuple[str, str], ...]
#: Name of a sample and its labels.
Series = tuple[str, Labels]
Samples = Mapping[Series, float]

_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?')
_ESCAPED = re.compile(r"\\(.)")


def read(text: str, names: Collection[str]) -> Samples:
    """The named samples; one that is missing is zero. Raises ValueError if the text is none of Prometheus."""
    found = {}
    for line in text.splitlines():
        name = line.partition(" ")[0].partition("{")[0]
        # Of a thousand models most have nothing but zeros; a bucket of none is a bound all the same.
        if name not in names or (line.endswith(" 0") and not name.endswith("_bucket")):
            continue
        labels, _, value = line.removeprefix(name).rpartition(" ")
        found[name, _labels(labels)] = float(value)
    return found


@lru_cache(maxsize=1 << 17)
def _labels(text: str) -> Labels:
    """Those between braces. Raises ValueError if there is anything else."""
    if not text:
        return ()
    inner = text.removeprefix("{").removesuffix("}")
    if len(inner) != len(text) - 2 or _LABEL.sub("", inner):
        raise ValueError(f'found {text!r}, expected labels such as {{model="m"}}')
    pairs = ((name, _ESCAPED.sub(_unescaped, value)) for name, value in _LABEL.findall(inner))
    return tuple(sorted(pairs))


def _unescaped(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] == "n" else escaped[1]
