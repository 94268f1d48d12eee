"""What there is to tell about a configuration, and where in it."""

from collections.abc import Mapping
from dataclasses import dataclass

#: A field's place in a configuration: names and, where a field is repeated, the index of the element.
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Remark:
    """One thing to tell about a configuration: where it is, and a sentence that begins with the field."""

    path: Path
    text: str

    def line(self, lines: Mapping[Path, int]) -> int:
        """Return the line of the field, or of the nearest one around it if it is not written itself."""
        for length in range(len(self.path), 0, -1):
            if self.path[:length] in lines:
                return lines[self.path[:length]]
        return 1


class BrokenRule(Remark):
    """One mistake: ``field: found ..., expected ...``."""
