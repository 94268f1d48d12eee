"""What mesh.yaml names, mounted into containers."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

#: Below it, each by the last part of its name.
FOLDER = "/mnt"


@dataclass(frozen=True)
class Mounts:
    """Of one workload."""

    #: What mesh.yaml says, by what it is called below `FOLDER`.
    given: dict[str, str] = field(default_factory=dict)

    def seen(self, given: str) -> str:
        """Where containers see it, from now on; what is a URL stays as it is."""
        if "://" in given:
            return given
        base = name = PurePosixPath(given).name or "folder"
        number = 1
        while self.given.setdefault(name, given) != given:
            number += 1
            name = f"{base}-{number}"
        return f"{FOLDER}/{name}"
