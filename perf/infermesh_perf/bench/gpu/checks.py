"""What a check is, and all of them in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infermesh.errors import InfermeshError

#: Servers that are checked at once, where only answers count.
AT_ONCE = 4


@dataclass(frozen=True)
class Check:
    """`said` is what went wrong, or what was found."""

    name: str
    passed: bool
    said: str


@dataclass(frozen=True)
class Question:
    """A check to be made in a folder of its own: returns whether it passed, and what is to be said."""

    name: str
    ask: Callable[[Path], tuple[bool, str]]

    def answer(self, folder: Path) -> Check:
        """Ask; an error of the server or of a call is a check that did not pass."""
        try:
            passed, said = self.ask(folder)
        except (InfermeshError, ValueError, OSError) as error:
            passed, said = False, str(error)
        return Check(self.name, passed, said)


def ask(together: list[Question], alone: list[Question], folder: Path) -> Iterator[Check]:
    """Answers as they come: some questions at once, then, one by one, those about the whole device."""
    folders = [folder / str(index) for index in range(len(together) + len(alone))]
    for each in folders:
        each.mkdir()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(Question.answer, together, folders)
    for question, each in zip(alone, folders[len(together) :], strict=True):
        yield question.answer(each)
