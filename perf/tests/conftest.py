"""A root of its own for the tests that start peers, which uses what is set up in the repository's root."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the peers that are installed are found, and nothing that a test writes disturbs another."""
    (tmp_path / "requirements").symlink_to(ROOT / "requirements")
    for name in ("envoy", "perf-analyzer"):
        home = tmp_path / ".peers" / name
        home.mkdir(parents=True)
        for part in ("venv", "lib", "installed"):
            if (there := ROOT / ".peers" / name / part).exists():
                (home / part).symlink_to(there)
    return tmp_path
