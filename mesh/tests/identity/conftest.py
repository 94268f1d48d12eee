"""The command, and a folder of its own to run in."""

from pathlib import Path

import pytest
from support.identity_command import Command, in_process


@pytest.fixture
def identity(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    return in_process(capsys)
