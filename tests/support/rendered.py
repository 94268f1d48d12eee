"""What `infermesh render` makes of a mesh.yaml."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from infermesh.deploy.output import File
from infermesh.description.read import Description, read


def rendered(
    folder: Path, mesh: str, files: Callable[[Description], Iterable[File]], environment: str | None = None
) -> Mapping[str, str]:
    """The text of each file, by its path; the folder has a model repository, `models`."""
    (folder / "models" / "fraud" / "1").mkdir(parents=True, exist_ok=True)
    (folder / "mesh.yaml").write_text(mesh)
    found = list(files(read(folder / "mesh.yaml", environment)))
    assert len({file.path for file in found}) == len(found)
    return {file.path: file.text for file in found}
