"""What the command line says about the data to send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

RANDOM = "random"
ZERO = "zero"

#: Different random payloads, as long as they fit into `PAYLOAD_BYTES`.
PAYLOADS = 8
PAYLOAD_BYTES = 64 << 20
STRING_LENGTH = 128


@dataclass(frozen=True)
class DataOptions:
    """None, or empty, where an option was not given; `data` is `random`, `zero` or a path.

    `shapes` are sizes of inputs without the batch, by name; `payloads` is how many random requests differ.
    """

    batch: int | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    data: str = RANDOM
    string_length: int | None = None
    string_data: str | None = None
    seed: int = 0
    payloads: int | None = None
    validate: Path | None = None

    @property
    def path(self) -> Path | None:
        """The file or directory with data, if there is one."""
        return None if self.data in (RANDOM, ZERO) else Path(self.data)
