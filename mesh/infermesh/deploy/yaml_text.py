"""Objects as the YAML that people would write: text of several lines as a block, fields in their order."""

from collections.abc import Iterable
from typing import Any

import yaml


# In C, as PyYAML's wheels have it: a mesh of a thousand servers is a matter of seconds, not of half a minute.
class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def one(value: Any) -> str:
    """One document."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))


def several(values: Iterable[Any]) -> str:
    """Several documents in one file."""
    return "---\n".join(one(value) for value in values)
