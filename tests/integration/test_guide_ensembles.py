"""The example of docs/guides/ensembles.md works as it is printed."""

import re
import subprocess
import sys
from pathlib import Path

from support.client import SECONDS
from support.repository import Repository
from support.server import Serve

GUIDE = Path(__file__).parents[2] / "docs/guides/ensembles.md"


def test_the_example_prints_what_the_guide_says(repository: Repository, serve: Serve) -> None:
    text = GUIDE.read_text()
    files = re.findall(r"```\w*\n# models/(\S+)\n(.*?)```", text, re.DOTALL)
    assert len(files) == 3
    for name, content in files:
        path = repository.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (repository.root / "pipeline" / "1").mkdir()
    server = serve()
    server.wait_ready()
    (program,) = re.findall(r"```python\n(import numpy.*?)```", text, re.DOTALL)
    assert "127.0.0.1:8001" in program
    program = program.replace("127.0.0.1:8001", server.target)
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=True
    ).stdout
    (said,) = re.findall(r"It prints `(.*?)`", text)
    assert printed.strip() == said
