"""Writes model repositories in Triton's layout."""

from dataclasses import dataclass
from pathlib import Path

CONFIG = "config.pbtxt"


@dataclass(frozen=True)
class Repository:
    """A directory of models; every method replaces what was there under the same name."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> "Repository":
        """An empty one."""
        root.mkdir(parents=True, exist_ok=True)
        return cls(root)

    def onnx(self, name: str, model: bytes, *, version: int | str = 1, config: str = "") -> Path:
        """Put an ONNX model there and return its file."""
        return self._put(name, version, "model.onnx", model, config)

    def python(self, name: str, source: str, *, version: int | str = 1, config: str = "") -> Path:
        """Put a Python model there and return its file."""
        return self._put(name, version, "model.py", source.encode(), config)

    def config(self, name: str, text: str) -> Path:
        """Write a model's configuration and return its file."""
        file = self.root / name / CONFIG
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def _put(self, name: str, version: int | str, file_name: str, content: bytes, config: str) -> Path:
        file = self.root / name / str(version) / file_name
        file.parent.mkdir(parents=True, exist_ok=True)
        # In one step, as whoever follows the repository should find no half of a file.
        part = file.with_name(f".{file_name}.part")
        part.write_bytes(content)
        part.rename(file)
        if config:
            self.config(name, config)
        return file
