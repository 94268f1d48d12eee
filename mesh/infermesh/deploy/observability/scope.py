"""Narrows rules to one mesh: several may be in one Prometheus, each with rules of its own."""

import re
from collections.abc import Sequence

from infermesh.deploy.observability.rule import Object

#: A series of ours, scraped or recorded, and whether it has matchers already.
_SERIES = re.compile(
    r"(?<![\w:])(up|(?:\w+:)?(?:infermesh|nv|process)_\w+(?::\w+)*|infermesh:[\w:]+)(?![\w:(])(\{)?"
)


def narrowed(groups: Sequence[Object], mesh: str, namespace: str | None) -> list[Object]:
    """The same rules over the series of one mesh in one namespace, or in none."""
    matchers = f'mesh="{mesh}",namespace="{namespace or ""}"'
    return [
        {**group, "rules": [{**rule, "expr": _narrowed(rule["expr"], matchers)} for rule in group["rules"]]}
        for group in groups
    ]


def _narrowed(expression: str, matchers: str) -> str:
    def with_matchers(found: re.Match[str]) -> str:
        series, has_matchers = found.groups()
        return f"{series}{{{matchers}{',' if has_matchers else '}'}"

    return _SERIES.sub(with_matchers, expression)
