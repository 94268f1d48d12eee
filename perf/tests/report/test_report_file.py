"""Pages as files."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from infermesh_perf.errors import SetupError
from infermesh_perf.report import page
from support import perf_documents


def test_the_file_names_no_other_file_and_no_address(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page.write(perf_documents.run(), path)

    text = path.read_text()
    assert len(text) < 1_600_000
    markup = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.DOTALL)
    assert re.findall(r"\b(?:src|href|action|data)=\"([^\"]*)", markup) == ["#result"]
    assert re.findall(r"https?:|url\(|@import", markup) == []
    # Of Vega's script only the names of formats and hints for developers remain.
    assert set(re.findall(r"https?://[\w.]+", text)) <= {
        "http://www.w3.org",
        "https://vega.github.io",
        "https://github.com",
    }


def test_its_policy_lets_nothing_in_but_its_own_two_scripts(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page.write(perf_documents.unanswered(), path)

    text = path.read_text()
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0]
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert policy.split("; ") == [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{hashes[0]}' 'sha256-{hashes[1]}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be written"):
        page.write(perf_documents.unanswered(), tmp_path)
