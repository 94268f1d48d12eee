"""The documentation as a site: strict, whole, and with nothing from elsewhere."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None,
    reason="needs mkdocs-material, which is among the development dependencies",
)


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` does, elsewhere."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=110)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It, built of this tree."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """This tree's pages, to be changed."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    for name in ("docs", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_page_is_there(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file()


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|iframe)[^>]* src=\"?([^\" >]+)", page.read_text(encoding="utf-8")
        )
        loaded += re.findall(r"<link[^>]* href=\"?([^\" >]+)", page.read_text(encoding="utf-8"))
        assert [it for it in loaded if "//" in it] == [], page
    for sheet in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")) == [], sheet


def test_what_lies_outside_of_the_pages_comes_along(site: Path) -> None:
    assert 'href="../repository/examples/checkout/mesh.yaml"' in (site / "guides/run-a-mesh.html").read_text()
    copied = site / "repository/examples/checkout/mesh.yaml"
    assert copied.read_bytes() == (ROOT / "examples/checkout/mesh.yaml").read_bytes()


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("nowhere.md", "nowhere.md"),
        ("concepts.md#nowhere", "#nowhere"),
        ("../examples/nowhere.yaml", "there is no ../examples/nowhere.yaml"),
    ],
)
def test_a_link_to_nowhere_fails(copy: Path, link: str, said: str) -> None:
    with (copy / "docs/quickstart.md").open("a", encoding="utf-8") as page:
        page.write(f"\n[words]({link})\n")
    done = build(copy, copy / "site")
    assert done.returncode != 0
    assert said in done.stderr


def test_a_page_that_nothing_names_fails(copy: Path) -> None:
    (copy / "docs/lonely.md").write_text("# Lonely\n", encoding="utf-8")
    done = build(copy, copy / "site")
    assert done.returncode != 0
    assert "lonely.md" in done.stderr
