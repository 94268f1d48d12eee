"""Places of parts within the whole."""

from collections.abc import Iterable, Iterator

from infermesh.remarks import BrokenRule

Broken = Iterator[BrokenRule]


def broken(*path: str | int, text: str) -> BrokenRule:
    """A mistake at a place within a part."""
    return BrokenRule(path, text)


def below(at: tuple[str | int, ...], rules: Iterable[BrokenRule]) -> Broken:
    """The same mistakes, seen from the whole of which the part is at a place."""
    return (BrokenRule((*at, *rule.path), rule.text) for rule in rules)
