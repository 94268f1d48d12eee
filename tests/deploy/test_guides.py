"""The guides to Compose and Nomad: their mesh.yaml is rendered as they say."""

import re
from pathlib import Path

import pytest
from support.command_line import Outcome

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


@pytest.mark.parametrize("target", ["compose", "nomad"])
def test_guide(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (GUIDES / f"{target}.md").read_text()
    (mesh,) = re.findall(r"```yaml\n(# mesh\.yaml\n.*?)```", guide, re.DOTALL)
    (said,) = re.findall(rf"^\$ infermesh (render {target}.*)\n(\d+ files in .*)\n", guide, re.MULTILINE)
    (tmp_path / "models" / "fraud" / "1").mkdir(parents=True)
    (tmp_path / "mesh.yaml").write_text(mesh)
    monkeypatch.chdir(tmp_path)
    done = Outcome(capsys, *said[0].split())
    assert (done.code, done.lines) == (0, [said[1]])
    named = re.findall(rf"{target}/([\w./-]+\.\w+)", guide)
    assert {it for it in named if not it.endswith("override.yaml")} <= {
        str(it.relative_to(tmp_path / target)) for it in (tmp_path / target).rglob("*") if it.is_file()
    }
